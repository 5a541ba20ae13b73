"""One training, one run: everything that made it is recorded at its start, its end status always tells the truth."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from mlssm.errors import Pruned, RunError
from mlssm.secrets import without_password
from mlssm.signals import interrupt_of
from mlssm.tracking.console import CONSOLE, console_log
from mlssm.tracking.failures import reason_of
from mlssm.tracking.find import find_run
from mlssm.tracking.leftovers import send_leftovers
from mlssm.tracking.metrics import MetricHistory, read_history
from mlssm.tracking.record import record_resume, record_start
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store
from mlssm.tracking.system import system_metrics
from mlssm.tracking.tags import DIED, ERROR, FOLDER, KIND, PARENT, PRUNED
from mlssm.tracking.writer import is_alive, only_writer, writer_tags

log = logging.getLogger(__name__)


@contextmanager
def tracked_run(
    store: Store,
    name: str,
    config: Mapping[str, Any],
    digests: Mapping[str, str],
    parent_run_id: str | None = None,
    kind: str = "training",
    *,
    folder: Path | None = None,
    resume: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[TrackedRun]:
    """Create or resume a run, record what makes it repeatable, and end it by how the block ends.

    The end status is FINISHED; KILLED after an interrupt or another signal to end, or after Pruned, with the tag
    `mlssm.pruned`; FAILED after any other exception. What went wrong is kept as the artifact `error.txt`. Exceptions go
    on to the caller.
    The store must be there at the start; later it may fail, and what is written is then kept and sent afterwards.

    Args:
        store: The open store.
        name: The run's name; a resumed run keeps its own.
        config: The resolved configuration as plain containers. See `mlssm.tracking.record`; with
            `tracking.system_metrics_s` the use of the machine is sampled every so many seconds.
        digests: What the data were, by name: tags `digest.<name>`.
        parent_run_id: The run that it belongs to: of a sweep, or of a training with several seeds.
        kind: training; or seed or season for one of several, which is not found as the latest training.
        folder: The job's folder, which one process at a time writes; of a resumed run the one that its tag
            `mlssm.folder` names. What could not be sent is kept in `unsent` in it, and what the job prints and logs in
            `console.log`, at the end also an artifact. Without it no console is kept, and what could not be sent lies
            in the tracking folder.
        resume: The run that goes on; None for a new one.
        tags: More tags.

    Raises:
        RunError: There is no such run to resume, or another process writes it or its folder.
    """
    with ExitStack() as stack:
        if folder is not None:
            stack.enter_context(only_writer(folder))
        added = dict(tags or {}) | writer_tags() | ({} if folder is None else {FOLDER: _shown(folder)})
        if resume is None:
            added |= {KIND: kind} | ({PARENT: parent_run_id} if parent_run_id else {})
            run = TrackedRun(store, _create(store, name, added), folder, MetricHistory())
        else:
            run = _resume(store, resume, folder)
        stack.push(partial(_end, run))
        if folder is not None:
            stack.enter_context(console_log(folder / CONSOLE))
        if resume is None:
            record_start(run, config, digests)
        else:
            record_resume(run, config, digests)
            run.set_tags(added)
        if seconds := config.get("tracking", {}).get("system_metrics_s"):
            stack.enter_context(system_metrics(store, run.run_id, run.log_metrics, run.next_system_step, seconds))
        yield run


def mark_dead(store: Store, run_id: str, why: str) -> None:
    """Give a run whose process is gone the end that it could not write itself: FAILED, with its error and a tag."""
    run = TrackedRun(store, run_id)
    run.set_tags({DIED: why})
    run.log_text(f"{why}\n", ERROR)
    run.end("FAILED")


def _create(store: Store, name: str, tags: Mapping[str, str]) -> str:
    from mlflow.tracking.context.registry import resolve_tags

    return str(store.client.create_run(store.experiment_id, tags=resolve_tags(dict(tags)), run_name=name).info.run_id)


def _resume(store: Store, run_id: str, folder: Path | None) -> TrackedRun:
    send_leftovers(store)  # before the record is read
    found = find_run(store, run_id)
    if found.status == "RUNNING" and is_alive(found.tags) and found.tags["mlssm.pid"] != writer_tags()["mlssm.pid"]:
        raise RunError(f"run {run_id} is being written by process {found.tags['mlssm.pid']}; wait for it, or end it")
    run = TrackedRun(store, run_id, folder, read_history(store, run_id))
    store.client.update_run(run_id, "RUNNING")
    return run


def _end(
    run: TrackedRun, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Set the status that the end calls for. Used as an exit callback: what was raised goes on being raised."""
    from mlflow.exceptions import MlflowException

    if error is None:
        _keep_console(run)
        run.end("FINISHED")
        return
    status = "KILLED" if isinstance(error, Pruned) or interrupt_of(error) else "FAILED"
    try:
        if isinstance(error, Pruned):
            run.set_tags({PRUNED: error.epoch})
        else:
            run.log_text(without_password("".join(traceback.format_exception(kind, error, trace))), ERROR)
        _keep_console(run)
        run.end(status)
    except (MlflowException, OSError) as failure:  # the error that ended the run matters more
        log.error(
            "run %s ended as %s, which could not be recorded: %s; its checkpoints stay: resume=%s goes on from them",
            *(run.run_id, status, reason_of(failure), run.run_id),
        )


def _keep_console(run: TrackedRun) -> None:
    if run.folder is not None:
        run.log_file(run.folder / CONSOLE)


def _shown(folder: Path) -> str:
    """A folder as it is recorded: relative where it is below the working directory."""
    path = folder.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
