"""One training, one run: everything that made it is recorded at its start, its end status always tells the truth."""

from __future__ import annotations

import logging
import shlex
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlssm.tracking.metrics import send_metrics
from mlssm.tracking.parameters import cut, flatten
from mlssm.tracking.provenance import GitState, git_state, installed_packages
from mlssm.tracking.store import Store, sqlite_path
from mlssm.tracking.table import markdown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

KIND = "mlssm.kind"  # training, seed, sweep
BUNDLE = "mlssm.bundle"  # the artifact folder of the model bundle, set once it is complete
BUNDLE_FOLDER = "model"
PARENT = "mlflow.parentRunId"
ITEMS_PER_CALL = 100  # MLflow's limit of parameters, and of tags, in one call


@dataclass(frozen=True)
class TrackedRun:
    """A run that is being written."""

    store: Store
    run_id: str

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics; without a step as the run's final values. See `mlssm.tracking.metrics.send_metrics`."""
        send_metrics(self.store, self.run_id, values, step)

    def log_figure(self, figure: Figure, path: str) -> None:
        """Save a matplotlib figure as the artifact `path`; its ending gives the format. The figure stays open."""
        self.store.client.log_figure(self.run_id, figure, path)

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Copy a file into an artifact folder, the run's top folder by default."""
        self.store.client.log_artifact(self.run_id, str(path), folder)

    def log_text(self, text: str, path: str) -> None:
        """Write text as the artifact `path`."""
        self.store.client.log_text(self.run_id, text, path)

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
        from mlflow.entities import RunTag

        items = [RunTag(key, str(value)) for key, value in tags.items()]
        for start in range(0, len(items), ITEMS_PER_CALL):
            self.store.client.log_batch(self.run_id, tags=items[start : start + ITEMS_PER_CALL], synchronous=True)

    @property
    def ui_command(self) -> str:
        """The shell command that opens the MLflow UI on this store, from the working directory."""
        if self.store.uri.startswith(("http:", "https:")):
            page = f"{self.store.uri.rstrip('/')}/#/experiments/{self.store.experiment_id}/runs/{self.run_id}"
            return f"python -m webbrowser {shlex.quote(page)}"
        path = sqlite_path(self.store.uri)
        if path is not None and path.is_relative_to(Path.cwd()):
            return f"mlflow ui --backend-store-uri {shlex.quote(f'sqlite:///{path.relative_to(Path.cwd())}')}"
        return f"mlflow ui --backend-store-uri {shlex.quote(self.store.uri)}"

    def _end(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Set the status that the end calls for. Used as an exit callback: what was raised goes on being raised."""
        if error is None:
            self.store.client.set_terminated(self.run_id, "FINISHED")
            return
        from mlflow.exceptions import MlflowException

        # Lightning turns an interrupt of its fit into SystemExit
        killed = isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)
        status = "KILLED" if killed else "FAILED"
        try:
            self.log_text("".join(traceback.format_exception(kind, error, trace)), "error.txt")
            self.store.client.set_terminated(self.run_id, status)
        except (MlflowException, OSError) as failure:  # the error that ended the run matters more
            log.error("run %s ended as %s, which could not be recorded: %s", self.run_id, status, failure)


@contextmanager
def tracked_run(
    store: Store,
    name: str,
    config: Mapping[str, Any],
    digests: Mapping[str, str],
    parent_run_id: str | None = None,
    kind: str = "training",
) -> Iterator[TrackedRun]:
    """Create a run, record what makes it repeatable, and end it by how the block ends.

    The end status is FINISHED, KILLED after KeyboardInterrupt, FAILED after any other exception; the last two with the
    traceback as the artifact `error.txt`. Exceptions go on to the caller.

    Args:
        store: The open store.
        name: The run's name.
        config: The resolved configuration as plain containers. Each value is a parameter (cut with a mark at MLflow's
            limit); the artifact `config.yaml` is whole.
        digests: What the data were, by name: tags `digest.<name>`.
        parent_run_id: The run that it belongs to: of a sweep, or of a training with several seeds.
        kind: training, or seed for one of several seeds, which is not found as the latest training.
    """
    run = TrackedRun(store, _create(store, name, parent_run_id, kind))
    with ExitStack() as stack:
        stack.push(run._end)
        _record(run, config, digests)
        yield run


def _create(store: Store, name: str, parent_run_id: str | None, kind: str) -> str:
    from mlflow.tracking.context.registry import resolve_tags

    tags = {KIND: kind} | ({PARENT: parent_run_id} if parent_run_id else {})
    return str(store.client.create_run(store.experiment_id, tags=resolve_tags(tags), run_name=name).info.run_id)


def _record(run: TrackedRun, config: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    import yaml

    state = git_state()
    run.set_tags(_git_tags(state) | {f"digest.{name}": value for name, value in digests.items()})
    _log_parameters(run, config)
    run.log_text(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True), "config.yaml")
    run.log_text(installed_packages(), "requirements.txt")
    if state.diff:
        run.log_text(state.diff, "git.diff")


def _log_parameters(run: TrackedRun, config: Mapping[str, Any]) -> None:
    from mlflow.entities import Param
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    items = [Param(key, cut(text, MAX_PARAM_VAL_LENGTH)) for key, text in flatten(config).items()]
    for start in range(0, len(items), ITEMS_PER_CALL):
        run.store.client.log_batch(run.run_id, params=items[start : start + ITEMS_PER_CALL], synchronous=True)


def _git_tags(state: GitState) -> dict[str, object]:
    if state.note:
        return {"git.revision": state.revision, "git.note": state.note}
    tags: dict[str, object] = {"git.revision": state.revision, "git.branch": state.branch, "git.dirty": state.dirty}
    if state.revision != "none":
        tags["mlflow.source.git.commit"] = state.revision  # a column of the UI
    return tags
