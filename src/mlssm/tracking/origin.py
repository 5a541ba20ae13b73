"""The run that a training goes on from, and what of it is there: its configuration and its checkpoint."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlssm.checkpoint import CHECKPOINTS, LAST
from mlssm.errors import RunError
from mlssm.tracking.find import Run, children, download, find_run
from mlssm.tracking.store import Store
from mlssm.tracking.tags import FOLDER, KIND
from mlssm.tracking.writer import HOST

log = logging.getLogger(__name__)

CONFIG = "config.yaml"
SHOWN = 10


@dataclass(frozen=True)
class Origin:
    """A run to go on from.

    Attributes:
        run: The run.
        folder: Where it wrote its checkpoints; None where that is not on this machine.
        config: Its resolved configuration as plain containers.
        checkpoint: Its last checkpoint; None where it has none.
    """

    run: Run
    folder: Path | None
    config: dict[str, Any]
    checkpoint: Path | None


def find_origin(store: Store, run: str) -> Origin:
    """Find a run and what it left.

    Args:
        store: The open store.
        run: Any of the forms that `find_run` takes.

    Raises:
        RunError: There is no such run, it is the parent of a sweep, or its configuration cannot be read.
    """
    found = find_run(store, run)
    _refuse_sweep(store, found)
    folder = _folder(found)
    return Origin(found, folder, _config(store, found), find_checkpoint(store, found, folder, LAST))


def require_checkpoint(origin: Origin) -> Path:
    """The run's last checkpoint.

    Raises:
        RunError: It has none that is there; the message says where it was looked for.
    """
    if origin.checkpoint is not None:
        return origin.checkpoint
    run = origin.run
    told, host = run.tags.get(FOLDER), run.tags.get(HOST, "an unknown machine")
    place = f"in {told} on {host}" if told else f"on {host}"
    raise RunError(
        f"run {run.run_id} ({run.status}) has no checkpoint: there is no {CHECKPOINTS}/{LAST} {place} "
        f"as seen from {Path.cwd()}, nor among its artifacts; go on where it was trained, or start anew"
    )


def find_checkpoint(store: Store, run: Run, folder: Path | None, name: str) -> Path | None:
    """One in the run's folder, else fetched from its artifacts into a temporary folder; None where neither is."""
    if folder is not None and (folder / CHECKPOINTS / name).is_file():
        return folder / CHECKPOINTS / name
    if f"{CHECKPOINTS}/{name}" not in {item.path for item in store.client.list_artifacts(run.run_id, CHECKPOINTS)}:
        return None
    log.info("run %s: fetching its checkpoints from its artifacts", run.run_id)
    fetched = Path(tempfile.mkdtemp(prefix="mlssm-origin-"))
    atexit.register(shutil.rmtree, fetched, ignore_errors=True)
    # all of them: the last one counts on the best one beside it
    return download(store, run.run_id, CHECKPOINTS, fetched) / name


def _refuse_sweep(store: Store, run: Run) -> None:
    if run.tags.get(KIND) != "sweep":
        return
    under = children(store, run.run_id)
    listed = ", ".join(f"{child.run_id} ({child.name}, {child.status})" for child in under[:SHOWN]) or "none"
    more = ", ..." if len(under) > SHOWN else ""
    raise RunError(f"run {run.run_id} ({run.name}) stands for a sweep; name one of its runs: {listed}{more}")


def _folder(run: Run) -> Path | None:
    told = run.tags.get(FOLDER)
    folder = Path(told) if told else None
    return folder if folder is not None and folder.is_dir() else None


def _config(store: Store, run: Run) -> dict[str, Any]:
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        text = download(store, run.run_id, CONFIG, Path(folder)).read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    if not isinstance(values, dict):
        raise RunError(f"run {run.run_id}: its {CONFIG} is not a configuration")
    return {str(key): value for key, value in values.items()}
