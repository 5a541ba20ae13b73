"""What is done by a copy of the test's process, which can be killed, and what it leaves on the disk."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import runpy
import sys
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
        stderr: What it said.
    """

    returncode: int
    stderr: str


def run_script(path: Path, *arguments: str) -> Ended:
    """Run a script of Hydra's in its folder, which costs seconds less than a new process with its imports."""
    errors = path.with_suffix(".stderr")
    process = begun(_as_main, path, arguments, errors)
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return Ended(process.exitcode, errors.read_text(encoding="utf-8"))


def _as_main(path: Path, arguments: tuple[str, ...], errors: Path) -> None:
    """Leave what the parent set for itself, and run the script to the end of a process."""
    atexit._clear()
    logging.getLogger().handlers.clear()
    GlobalHydra.instance().clear()
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", UserWarning)
    os.chdir(path.parent)
    for name in [name for name in os.environ if name.startswith("MLFLOW")]:
        del os.environ[name]
    sys.argv = [path.name, *arguments]
    sys.stderr = errors.open("w", encoding="utf-8")
    try:
        runpy.run_path(path.name, run_name="__main__")
    finally:
        atexit._run_exitfuncs()


def content(folder: Path) -> Bytes:
    """All files below a folder, but what is remembered of digests."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "digests.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
