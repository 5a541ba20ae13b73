"""Find runs and fetch what they keep."""

from __future__ import annotations

import logging
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlssm.errors import RunError
from mlssm.tracking.reference import run_id_of
from mlssm.tracking.store import Store
from mlssm.tracking.tags import BUNDLE, KIND, PARENT, VERDICT, WARNINGS

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

log = logging.getLogger(__name__)

MOST_FOUND = 50_000  # MLflow's limit for one search
PAGE = 50  # in which the latest run is looked for


@dataclass(frozen=True)
class Run:
    """What a store knows of a run; metrics are the last values."""

    run_id: str
    name: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def verdict(self) -> str:
        """Whether its model is better than the best baseline, a sentence; empty where it was not scored."""
        return self.tags.get(VERDICT, "")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to beware of in its scores and its maps, a sentence each."""
        return tuple(self.tags.get(WARNINGS, "").splitlines())


def find_run(store: Store, run: str) -> Run:
    """A run by its id, or as it is written on the command line.

    Args:
        store: The open store.
        run: An id, or at least six characters of its beginning; `runs:/<id>`, `runs:/<id>/model`;
            `models:/<name>@<alias>` or `models:/<name>/<version>` for the run that a registered model comes from;
            "latest" for the newest finished training of the experiment that has a model bundle and stands for itself:
            no control, no run of a sweep or a search, no seed of several.

    Raises:
        RunError: There is no such run, model, alias or version, several runs fit, or the run is deleted.
    """
    return _latest(store) if run == "latest" else _by_id(store, run_id_of(store, run))


def children(store: Store, parent_run_id: str) -> list[Run]:
    """The runs under a parent run, oldest first."""
    return runs_with_tags(store, {PARENT: parent_run_id})


def runs_with_tags(store: Store, tags: Mapping[str, str]) -> list[Run]:
    """The runs of the experiment that have all these tags, oldest first."""
    condition = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    return [_run(item) for item in _search(store, condition, "ASC", MOST_FOUND)]


def artifact(store: Store, run_id: str, path: str) -> Path:
    """An artifact, a file or a folder, of a run: where it lies, or of a remote store a copy in a temporary folder.

    Raises:
        RunError: As of `download`.
    """
    own = local_path(store.client.get_run(_by_id(store, run_id).run_id).info.artifact_uri)
    if own is not None and (own / path).exists():
        return own / path
    return download(store, run_id, path, Path(tempfile.mkdtemp(prefix="mlssm-")))


def local_path(uri: str) -> Path | None:
    """The path of a `file:` address or a bare path; None of another address."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def download(store: Store, run_id: str, path: str, target: Path) -> Path:
    """Copy an artifact, a file or a folder, of a run into a folder, and return where it lies.

    Raises:
        RunError: The run or the artifact does not exist, or the copy failed.
    """
    from mlflow.exceptions import MlflowException

    run = _by_id(store, run_id)
    target.mkdir(parents=True, exist_ok=True)
    try:
        return Path(store.client.download_artifacts(run_id, path, str(target.absolute())))
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0][:300]
        raise RunError(f"run {run_id} ({run.status}) has no artifact {path!r} that can be read: {reason}") from None


def _latest(store: Store) -> Run:
    """The newest finished training of its own; the log says which, and what newer ones were passed over."""
    passed: Counter[str] = Counter()
    condition = f"attributes.status = 'FINISHED' and tags.`{KIND}` = 'training' and tags.`{BUNDLE}` != ''"
    for item in _search(store, condition, "DESC", PAGE):
        run = _run(item)
        if (reason := _group(run)) is None:
            log.info("run=latest: %s (%s)%s", run.run_id, run.name, _told(passed, "; newer, but passed over: "))
            return run
        passed[reason] += 1
    others = _told(passed, "; there are ")
    raise RunError(
        f"no finished training with a model in {_place(store)}{others}; "
        f"{'give its id: run=<id>' if passed else 'train first with: python train.py'}"
    )


def _group(run: Run) -> str | None:
    """What a training was part of that is not meant by the latest one; None for one that stands for itself."""
    if run.params.get("control", "none") != "none":
        return "controls"
    return "runs of sweeps and searches" if PARENT in run.tags else None


def _told(passed: Counter[str], beginning: str) -> str:
    return beginning + ", ".join(f"{reason}: {number}" for reason, number in passed.items()) if passed else ""


def _search(store: Store, condition: str, order: str, page: int) -> Iterator[MlflowRun]:
    """The runs of the experiment by start, a page at a time.

    Raises:
        RunError: The store cannot be read.
    """
    from mlflow.exceptions import MlflowException

    token = None
    while token is None or token:
        try:
            found = store.client.search_runs(
                [store.experiment_id],
                condition,
                max_results=page,
                order_by=[f"attributes.start_time {order}"],
                page_token=token,
            )
        except MlflowException as error:
            raise RunError(f"the runs at {store.shown} cannot be read: {str(error)[:300]}") from None
        yield from found
        token = found.token or ""


def _by_id(store: Store, run_id: str) -> Run:
    from mlflow.exceptions import MlflowException

    try:
        found = store.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise RunError(f"run {run_id!r} cannot be read from {store.shown}: {str(error)[:300]}") from None
        raise RunError(f"no run {run_id!r} in {_place(store)}; list them: {_list_command(store)}") from None
    if found.info.lifecycle_stage == "deleted":
        raise RunError(f"run {run_id!r} in {_place(store)} is deleted; list the others: {_list_command(store)}")
    return _run(found)


def _run(found: MlflowRun) -> Run:
    data = found.data
    name = found.info.run_name or found.info.run_id
    return Run(found.info.run_id, name, found.info.status, dict(data.params), dict(data.metrics), dict(data.tags))


def _place(store: Store) -> str:
    return f"experiment {store.client.get_experiment(store.experiment_id).name!r} at {store.shown}"


def _list_command(store: Store) -> str:
    return f"MLFLOW_TRACKING_URI={shlex.quote(store.shown)} mlflow runs list --experiment-id {store.experiment_id}"
