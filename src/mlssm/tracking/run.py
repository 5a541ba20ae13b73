"""One training, one run: everything that made it is recorded at its start, its end status always tells the truth."""

from __future__ import annotations

import logging
import shlex
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlssm.errors import Pruned, RunError
from mlssm.tracking.address import short_requests, without_password
from mlssm.tracking.console import CONSOLE, console_log
from mlssm.tracking.failures import is_unreachable
from mlssm.tracking.leftovers import send_leftovers
from mlssm.tracking.metrics import MetricHistory, read_history
from mlssm.tracking.operations import Artifact, End, Inputs, Params, Tags
from mlssm.tracking.outbox import UNSENT, Outbox
from mlssm.tracking.record import DIED, ERROR, PRUNED, record_resume, record_start
from mlssm.tracking.store import Store, sqlite_path
from mlssm.tracking.system import PREFIX, system_metrics
from mlssm.tracking.table import markdown
from mlssm.tracking.writer import is_alive, only_writer, writer_tags

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow.entities import DatasetInput

log = logging.getLogger(__name__)

KIND = "mlssm.kind"  # training, seed, sweep
BUNDLE = "mlssm.bundle"  # the artifact folder of the model bundle, set once it is complete
BUNDLE_FOLDER = "model"
PARENT = "mlflow.parentRunId"
READING_SECONDS = 10
FOLDER = "mlssm.folder"  # of the job; its checkpoints lie in `checkpoints`


class TrackedRun:
    """A run that is being written, in order, by one process; what the store cannot take now is kept and sent later.

    All that writes raises MlflowException only where the store was reached and refuses what is written.
    """

    def __init__(
        self, store: Store, run_id: str, folder: Path | None = None, history: MetricHistory | None = None
    ) -> None:
        """Go on writing a run that exists.

        Args:
            store: The open store.
            run_id: The run.
            folder: The job's folder; what cannot be sent is kept in `unsent` below it, or without one in the tracking
                folder's `unsent`.
            history: What the run's metrics have come to; None to ask the store when the first one is written.
        """
        self.store, self.run_id, self.folder = store, run_id, folder
        self._history = history
        self._outbox = Outbox(store, run_id, (folder or store.folder) / UNSENT)

    def __getstate__(self) -> dict[str, Any]:
        """For a process that a strategy as ddp_spawn starts. It writes metrics that this one does not see."""
        state = dict(self.__dict__)
        self._history = None  # so ask again
        return state

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics; without a step as the run's final values. See `MetricHistory.operations`."""
        with self._outbox.lock:
            for operation in self._known_history().operations(values, step):
                self._outbox.put(operation)

    def log_params(self, values: Mapping[str, str]) -> None:
        """Write parameters; MLflow refuses to change one."""
        self._outbox.put(Params(values=dict(values)))

    def log_inputs(self, inputs: Sequence[DatasetInput]) -> None:
        """Name the datasets that the run reads."""
        self._outbox.put(Inputs.of(inputs))

    def log_figure(self, figure: Figure, path: str) -> None:
        """Save a matplotlib figure as the artifact `path`; its ending gives the format. The figure stays open."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / PurePosixPath(path).name
            figure.savefig(file)
            self.log_file(file, _parent(path))

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Copy a file into an artifact folder, the run's top folder by default."""
        self._outbox.put(Artifact(file=path, folder=folder))

    def log_text(self, text: str, path: str) -> None:
        """Write text as the artifact `path`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / PurePosixPath(path).name
            file.write_text(text, encoding="utf-8")
            self.log_file(file, _parent(path))

    def log_table(self, frame: pd.DataFrame, stem: str) -> None:
        """Write a table's columns, without its index, as `<stem>.csv` and `<stem>.md`."""
        self.log_text(frame.to_csv(index=False), f"{stem}.csv")
        self.log_text(markdown(frame), f"{stem}.md")

    def log_bundle(self, folder: Path) -> None:
        """Copy the files of a saved model bundle; the run counts as a run with a model only once all are there."""
        for path in sorted(item for item in folder.iterdir() if item.is_file()):
            self.log_file(path, BUNDLE_FOLDER)
        self.set_tags({BUNDLE: BUNDLE_FOLDER})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set tags; a tag that is there is replaced."""
        if tags:
            self._outbox.put(Tags(values={key: str(value) for key, value in tags.items()}))

    def end(self, status: str) -> None:
        """Set the end status, FINISHED, FAILED or KILLED, and try a last time to send what could not be sent."""
        try:
            self._outbox.put(End(status=status, time=time.time_ns() // 1_000_000))
        finally:
            everything_is_sent = self._outbox.close()
        if everything_is_sent:
            send_leftovers(self.store, self.run_id)  # of processes that a strategy as ddp_spawn started

    @property
    def next_system_step(self) -> int:
        """The step that the next sample of the system metrics has."""
        return self._known_history().next_step(PREFIX)

    @property
    def ui_command(self) -> str:
        """The shell command that opens the MLflow UI on this store, from the working directory."""
        uri = without_password(self.store.uri)
        if uri.startswith(("http:", "https:")):
            page = f"{uri.rstrip('/')}/#/experiments/{self.store.experiment_id}/runs/{self.run_id}"
            return f"python -m webbrowser {shlex.quote(page)}"
        path = sqlite_path(uri)
        if path is not None and path.is_relative_to(Path.cwd()):
            return f"mlflow ui --backend-store-uri {shlex.quote(f'sqlite:///{path.relative_to(Path.cwd())}')}"
        return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"

    def _known_history(self) -> MetricHistory:
        from mlflow.exceptions import MlflowException

        if self._history is None:
            try:
                with short_requests(READING_SECONDS):
                    self._history = read_history(self.store, self.run_id)
            except MlflowException as error:
                if not is_unreachable(error):
                    raise
                log.warning("the history of run %s cannot be read: final values may not show as the last", self.run_id)
                self._history = MetricHistory()
        return self._history


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

    The end status is FINISHED; KILLED after KeyboardInterrupt, or after Pruned, with the tag `mlssm.pruned`; FAILED
    after any other exception. What went wrong is kept as the artifact `error.txt`. Exceptions go on to the caller.
    The store must be there at the start; later it may fail, and what is written is then kept and sent afterwards.

    Args:
        store: The open store.
        name: The run's name; a resumed run keeps its own.
        config: The resolved configuration as plain containers. See `mlssm.tracking.record`; with
            `tracking.system_metrics_s` the use of the machine is sampled every so many seconds.
        digests: What the data were, by name: tags `digest.<name>`.
        parent_run_id: The run that it belongs to: of a sweep, or of a training with several seeds.
        kind: training, or seed for one of several seeds, which is not found as the latest training.
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
    from mlssm.tracking.find import find_run

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
    status = "KILLED" if isinstance(error, Pruned) or _is_interrupt(error) else "FAILED"
    try:
        if isinstance(error, Pruned):
            run.set_tags({PRUNED: error.epoch})
        else:
            run.log_text(without_password("".join(traceback.format_exception(kind, error, trace))), ERROR)
        _keep_console(run)
        run.end(status)
    except (MlflowException, OSError) as failure:  # the error that ended the run matters more
        log.error("run %s ended as %s, which could not be recorded: %s", run.run_id, status, failure)


def _is_interrupt(error: BaseException) -> bool:
    """Whether the user stopped it. Lightning turns an interrupt of its fit into SystemExit."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)


def _keep_console(run: TrackedRun) -> None:
    if run.folder is not None:
        run.log_file(run.folder / CONSOLE)


def _shown(folder: Path) -> str:
    """A folder as it is recorded: relative where it is below the working directory."""
    path = folder.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _parent(path: str) -> str | None:
    """The artifact folder of an artifact."""
    folder = str(PurePosixPath(path).parent)
    return None if folder == "." else folder
