"""A run that is being written."""

from __future__ import annotations

import logging
import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlssm.errors import RunError
from mlssm.markdown import markdown
from mlssm.secrets import without_password
from mlssm.spreadsheet import as_csv
from mlssm.tracking.failures import is_retryable, short_requests
from mlssm.tracking.find import local_path
from mlssm.tracking.metrics import MetricHistory, read_history
from mlssm.tracking.operations import Artifact, End, Inputs, Params, Tags
from mlssm.tracking.outbox import UNSENT, Outbox
from mlssm.tracking.sqlite import sqlite_path
from mlssm.tracking.store import Store
from mlssm.tracking.system import PREFIX
from mlssm.tracking.tags import BUNDLE, BUNDLE_FOLDER

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow.entities import DatasetInput

log = logging.getLogger(__name__)

READING_SECONDS = 10
LOCAL_UI = "http://127.0.0.1:5000"  # of `mlflow ui`, unless it is told otherwise


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

    def log_image(self, png: bytes, path: str) -> None:
        """Write a picture that is drawn already as the artifact `path`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / PurePosixPath(path).name
            file.write_bytes(png)
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
        """Write a table's columns, without its index, as `<stem>.csv`, where no text is a formula, and `<stem>.md`."""
        self.log_text(as_csv(frame), f"{stem}.csv")
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
        """Set the end status, FINISHED, FAILED or KILLED, and try a last time to send what could not be sent.

        Raises:
            RunError: A run that finished could not be recorded, for the store does not let this user in any more.
        """
        try:
            self._outbox.put(End(status=status, time=time.time_ns() // 1_000_000))
        finally:
            everything_is_sent = self._outbox.close()
        if not everything_is_sent and self._outbox.refused_access and status == "FINISHED":
            raise RunError(
                f"run {self.run_id} has come to its end, but {self.store.shown} refuses access now: its record lacks "
                "what is kept as said above; renew the login (MLFLOW_TRACKING_TOKEN, or _USERNAME and _PASSWORD), and "
                "the next command on this store sends it"
            )

    @property
    def next_system_step(self) -> int:
        """The step that the next sample of the system metrics has."""
        return self._known_history().next_step(PREFIX)

    @property
    def page(self) -> str:
        """The address of the run's page in the MLflow UI: of a server, or of what `ui_command` starts."""
        uri = without_password(self.store.uri)
        root = uri.rstrip("/") if uri.startswith(("http:", "https:")) else LOCAL_UI
        return f"{root}/{self._place}"

    def artifact_link(self, path: str) -> str:
        """Where the MLflow UI shows an artifact, as a link within it."""
        return f"{self._place}/artifacts/{path}"

    def local_artifact(self, path: str) -> Path | None:
        """Where an artifact lies on this machine, relative to the working directory if below it; None: on a server."""
        folder = local_path(str(self.store.client.get_run(self.run_id).info.artifact_uri))
        if folder is None:
            return None
        found = folder / path
        return found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found

    @property
    def ui_command(self) -> str:
        """The shell command that opens the MLflow UI on this store, from the working directory."""
        uri = without_password(self.store.uri)
        if uri.startswith(("http:", "https:")):
            return f"python -m webbrowser {shlex.quote(self.page)}"
        path = sqlite_path(uri)
        if path is not None and path.is_relative_to(Path.cwd()):
            return f"mlflow ui --backend-store-uri {shlex.quote(f'sqlite:///{path.relative_to(Path.cwd())}')}"
        return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"

    @property
    def _place(self) -> str:
        return f"#/experiments/{self.store.experiment_id}/runs/{self.run_id}"

    def _known_history(self) -> MetricHistory:
        from mlflow.exceptions import MlflowException

        if self._history is None:
            try:
                with short_requests(READING_SECONDS):
                    self._history = read_history(self.store, self.run_id)
            except MlflowException as error:
                if not is_retryable(error):
                    raise
                log.warning("the history of run %s cannot be read: final values may not show as the last", self.run_id)
                self._history = MetricHistory()
        return self._history


def _parent(path: str) -> str | None:
    """The artifact folder of an artifact."""
    folder = str(PurePosixPath(path).parent)
    return None if folder == "." else folder
