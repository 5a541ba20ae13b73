"""What is done by a copy of the test's process, which can be killed, and what it leaves on the disk."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask import threaded
from hydra.core.global_hydra import GlobalHydra

Bytes = dict[str, bytes]


def begun(target: Callable[..., Any], *arguments: Any) -> Any:
    """Another process that runs a function."""
    process = multiprocessing.get_context("fork").Process(target=_run_alone, args=(target, *arguments))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        process.start()
    return process


def _run_alone(target: Callable[..., Any], *arguments: Any) -> None:
    threaded.pools.clear()  # their threads are the parent's
    threaded.default_pool = None
    target(*arguments)


@dataclass(frozen=True)
class Ended:
    """What a script came to.

    Attributes:
        returncode: Exit code.
        stdout: What it printed.
        stderr: What it logged and complained of.
    """

    returncode: int
    stdout: str
    stderr: str


def run_script(path: Path, *arguments: str, folder: Path) -> Ended:
    """Run a script in a folder, which costs seconds less than a new process with its imports."""
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said, "stdout"), Path(said, "stderr")
        process = begun(_as_main, path, arguments, folder, out, err)
        process.join(120)
        assert process.exitcode is not None, "it hangs"
        return Ended(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _as_main(path: Path, arguments: tuple[str, ...], folder: Path, out: Path, err: Path) -> None:
    """Leave what the parent set for itself, and run the script to the end of a process."""
    atexit._clear()
    logging.getLogger().handlers.clear()
    GlobalHydra.instance().clear()
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", UserWarning)
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("MLFLOW")]:
        del os.environ[name]
    sys.argv = [str(path), *arguments]
    with out.open("w", encoding="utf-8") as sys.stdout, err.open("w", encoding="utf-8") as sys.stderr:
        try:
            code = _exit_code(path)
        finally:
            atexit._run_exitfuncs()
    os._exit(code)


def _exit_code(path: Path) -> int:
    """As the interpreter has it."""
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def content(folder: Path) -> Bytes:
    """All files below a folder, but what is remembered of digests."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "digests.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
