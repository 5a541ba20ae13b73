"""The commands: Hydra composes, the package works, errors are one or two lines."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import logging
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlssm.errors import MlssmError
from mlssm.files import disk_fault
from mlssm.jobs.sweep import close_open_sweeps
from mlssm.processes import slow_imports
from mlssm.secrets import mask_logs, mask_yaml, without_password
from mlssm.signals import caught, exit_status, interrupt_of
from mlssm.tracking.console import Unbreakable

Job = Callable[[dict[str, Any]], Any]
# keys whose names are the user's own: no configuration has them before
OWN_NAMES = re.compile(r"(datamodule\.)?layers\.\w")
# the beginning of a run's id that YAML takes for a number: one of 25
RUN_ID = re.compile(r"^(\+{0,2}(?:run|resume|fork|warm_start)=)(\d+(?:e\d+)?)$", re.IGNORECASE)
CONF = Path(__file__).with_name("conf")  # in a checkout a link to the folder that users edit, in a wheel its files


def train(conf: Path = CONF) -> None:
    """Train, as the command line says.

    Args:
        conf: Folder of the configuration; by default the one inside the package.
    """
    command(_train, "train", conf)


def predict(conf: Path = CONF) -> None:
    """Write maps, as the command line says.

    Args:
        conf: Folder of the configuration; by default the one inside the package.
    """
    command(_predict, "predict", conf)


def evaluate(conf: Path = CONF) -> None:
    """Compare maps with what was measured in the ground, as the command line says.

    Args:
        conf: Folder of the configuration; by default the one inside the package.
    """
    command(_evaluate, "evaluate", conf)


def verify() -> None:
    """Compare cubes with the checksums that were written with them; exits with 1 where a file differs."""
    parser = argparse.ArgumentParser(description="Read cubes and name each file that is not as it was written.")
    place = Path("data/cubes")
    parser.add_argument("cube", nargs="*", type=Path, default=[place], help=f"a cube, or a folder of some ({place})")
    paths = parser.parse_args().cube
    from mlssm.jobs.verify import verify as job

    with _told():
        sys.exit(1 if job(paths) else 0)


def _train(values: dict[str, Any]) -> object:
    from mlssm.config import TrainConfig, parse

    typed = parse(TrainConfig, values)  # a wrong value is told before the slow imports
    typed.datamodule.require_root()
    if typed.datamodule.dry_run:
        from mlssm.origins.dry_run import dry_run

        print(dry_run(typed.datamodule))
        return None
    with slow_imports():
        from mlssm.jobs.train import train

    return train(typed, values)


def _predict(values: dict[str, Any]) -> None:
    from mlssm.config import PredictConfig, parse

    typed = parse(PredictConfig, values)  # a wrong value is told before the slow imports
    with slow_imports():
        from mlssm.jobs.predict import predict

    predict(typed)


def _evaluate(values: dict[str, Any]) -> None:
    from mlssm.config import EvaluateConfig, parse

    typed = parse(EvaluateConfig, values)  # a wrong value is told before the slow imports
    with slow_imports():
        from mlssm.jobs.evaluate import evaluate

    evaluate(typed, values)


def command(job: Job, config_name: str, conf: Path) -> None:
    """Run a job with the configuration that Hydra composes.

    Args:
        job: Called with the resolved configuration as plain containers.
        config_name: The primary configuration in `conf`.
        conf: Folder of the configuration.
    """
    # Hydra prints its own errors over many lines; with this it raises them, and they are told below
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    mask_logs()

    def run(config: DictConfig) -> Any:
        _mask_hydras_files()
        try:
            with caught():
                return job(resolved(config))
        except Exception as error:
            message = _message(error)
            if message is None or HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # a sweep goes on with its other jobs
            sys.exit(f"error: {message}")  # Hydra would print the overrides before it

    sys.argv[1:] = for_hydra(sys.argv[1:])
    register_resolvers()
    main = hydra.main(version_base="1.3", config_path=str(conf.absolute()), config_name=config_name)
    with _told():
        try:
            main(run)()
        finally:
            close_open_sweeps()


def register_resolvers() -> None:
    """Make known to OmegaConf what `conf/` calls."""
    OmegaConf.register_new_resolver("writable", writable, replace=True)


def writable(folder: str) -> str:
    """A folder, or where it may not be written the system's folder for passing files."""
    there = next(path for path in (Path(folder).absolute(), *Path(folder).absolute().parents) if path.exists())
    return folder if os.access(there, os.W_OK) else tempfile.gettempdir()


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra wants it: `++` before keys that are the user's to name, and run ids as texts."""
    quoted = [RUN_ID.sub(r"\1'\2'", argument) for argument in arguments]
    return [f"++{argument}" if OWN_NAMES.match(argument) else argument for argument in quoted]


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell an error or an interrupt in a line, and end with its status."""
    with caught(), _unread_output():
        try:
            yield
        except Exception as error:
            if (message := _message(error)) is None:
                raise
            sys.exit(f"error: {message}")
        except (KeyboardInterrupt, SystemExit) as end:
            if (interrupt := interrupt_of(end)) is None:
                raise
            with contextlib.suppress(OSError):  # the terminal may be gone
                print(str(interrupt) or "interrupted", file=sys.stderr)
            sys.exit(exit_status(interrupt))


@contextlib.contextmanager
def _unread_output() -> Iterator[None]:
    """Nothing fails for want of a reader, a terminal or space for the log; nor is that told for each line of it."""
    before = sys.stdout, logging.raiseExceptions
    sys.stdout, logging.raiseExceptions = cast(TextIO, Unbreakable(sys.stdout)), False
    try:
        yield
    finally:
        sys.stdout, logging.raiseExceptions = before
        try:
            sys.stdout.flush()
        except (OSError, ValueError):  # what is left would be Python's own complaint when it ends
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _message(error: Exception) -> str | None:
    """An error that is the input's or the machine's in a line; None for one of the program."""
    if isinstance(error, MlssmError):
        return str(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return explain(error)
    if isinstance(error, ValueError) and _raised_by_hydra(error):
        return f"{explain(error)}; given: {without_password(' '.join(sys.argv[1:]))}"
    return disk_fault(error)


def _mask_hydras_files() -> None:
    """Take the secrets out of the configuration that Hydra has just written beside the job, and beside a sweep."""
    hydra = HydraConfig.get()
    files = list((Path(hydra.runtime.output_dir) / str(hydra.output_subdir)).glob("*.yaml"))
    if hydra.mode == RunMode.MULTIRUN:
        files.append(Path(hydra.runtime.cwd) / str(hydra.sweep.dir) / "multirun.yaml")
    for path in files:
        if path.is_file():
            mask_yaml(path)


def _raised_by_hydra(error: Exception) -> bool:
    """Whether Hydra itself found a fault in what it was given, for which it has no class of its own."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith("hydra.")


def resolved(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain containers.

    Raises:
        OmegaConfBaseException: A value is missing.
    """
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def explain(error: Exception) -> str:
    """One or two lines that name the key or choice, the value and what is allowed."""
    text = " ".join(str(error).split()).partition(" Config search path:")[0]
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(unknown.group(1), error)
    if choice := re.search(r"Could not find '([^']+)' Available options in '([^']+)': (.*)", text):
        name, group, options = choice.groups()
        return f"unknown choice {group}={name.rpartition('/')[2]}; choose one of {', '.join(options.split())}"
    text, _, place = text.partition(" full_key: ")
    key = place.partition(" ")[0]
    if missing := re.search(r"Missing mandatory value: (\S+)", text):
        key = key or missing.group(1)
        return f"{key} is not set; give it on the command line: {key}=VALUE"
    return f"{key}: {text}" if key else text


def _unknown_key(key: str, error: Exception) -> str:
    cause = error.__cause__
    parent = getattr(cause, "parent_node", None)
    if not isinstance(parent, DictConfig) or not len(parent):
        return f"unknown configuration key '{key}'"
    known = [str(name) for name in parent if name != "hydra"]
    section = str(getattr(cause, "full_key", "")).removesuffix(str(getattr(cause, "key", ""))).rstrip(".")
    wrong, *rest = key.removeprefix(f"{section}.").split(".")
    guess = difflib.get_close_matches(wrong, known, n=1)
    meant = ".".join([*([section] if section else []), *guess, *rest])
    hint = f"; did you mean {meant}?" if guess else ""
    return f"unknown configuration key '{key}'{hint}; known here: {', '.join(known)}"
