"""The parent run of a sweep, made or found again, and what an earlier, broken-off sweep has done of a job."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser

from mlssm.errors import RunError
from mlssm.secrets import without_password
from mlssm.tracking.find import Run, children, runs_with_tags
from mlssm.tracking.names import NAME_LENGTH, own_overrides, run_name, training_overrides
from mlssm.tracking.store import Store
from mlssm.tracking.tags import KIND
from mlssm.tracking.writer import is_alive

log = logging.getLogger(__name__)

OVERRIDES = "mlssm.overrides"  # tag of the parent: what the sweep was told
STUDY = "mlssm.study"  # tag of a search's parent: the study that its workers share
FAILED_JOB = "failed."  # tags of the parent: failed.<job number>
JOB = "mlssm.job"  # tag of a sweep's child: the overrides that are its own
SUPERSEDED = "mlssm.superseded_by"  # tag of a failed child: the run that was made in its place


@dataclass(frozen=True)
class Earlier:
    """The last run of a job in the sweep that goes on.

    Attributes:
        run: The run.
        finished: Whether it came to its end.
    """

    run: Run
    finished: bool


def job_key() -> str:
    """What tells the current job of a sweep from the others."""
    return " ".join(sorted(training_overrides(own_overrides() or ())))


def earlier_run(store: Store, parent_run_id: str) -> Earlier | None:
    """What the sweep has of the current job already.

    Raises:
        RunError: Another process is at it.
    """
    key = job_key()
    found = [run for run in children(store, parent_run_id) if run.tags.get(JOB) == key and SUPERSEDED not in run.tags]
    if not found:
        return None
    done = [run for run in found if run.status == "FINISHED"]
    if done:
        return Earlier(done[-1], True)
    if found[-1].status == "RUNNING" and is_alive(found[-1].tags):
        raise RunError(f"run {found[-1].run_id} ({key}) is being trained by another process; wait for it or stop it")
    return Earlier(found[-1], False)


def create_parent(store: Store, overrides: Sequence[str], study: str = "") -> str:
    """A new parent run for a sweep with these overrides, or for a search of that study; its run id."""
    from mlflow.tracking.context.registry import resolve_tags

    told = training_overrides(overrides)
    tags = resolve_tags({KIND: "sweep", OVERRIDES: _recorded(told)} | ({STUDY: study} if study else {}))
    parsed = OverridesParser.create().parse_overrides(told)
    named = [item for item in parsed if item.is_sweep_override() or item.key_or_group in ("experiment", "search")]
    kind = "search" if any(item.key_or_group == "search" for item in parsed) else "sweep"
    name = f"{kind} {run_name([str(item.input_line) for item in named])}".strip()[:NAME_LENGTH]
    return str(store.client.create_run(store.experiment_id, tags=tags, run_name=name).info.run_id)


def earlier_parent(store: Store, overrides: Sequence[str]) -> str:
    """The newest parent run of a sweep with the same overrides, in any order, open again.

    Raises:
        RunError: There is none.
    """
    wanted = _recorded(training_overrides(overrides))
    for run in reversed(runs_with_tags(store, {KIND: "sweep"})):
        if sorted(run.tags.get(OVERRIDES, "").split(" ")) == sorted(wanted.split(" ")):
            reopen(store, run)
            return run.run_id
    raise RunError(
        f"sweep.resume=true: no earlier sweep with the overrides '{wanted}' in {store.shown}; "
        "give the same overrides as then, or leave sweep.resume out"
    )


def join_study(store: Store, overrides: Sequence[str], study: str) -> str:
    """The one parent run of a study, which several workers share: the oldest, open again; made where there is none."""
    made = "" if _of_study(store, study) else create_parent(store, overrides, study)
    oldest = _of_study(store, study)[0]  # of two workers that made one in the same moment, both see the same
    if oldest.run_id == made:
        return made
    if made:
        store.client.set_terminated(made, "KILLED")
        store.client.delete_run(made)
    reopen(store, oldest)
    log.info("study %s goes on under the run %s", study, oldest.run_id)
    return oldest.run_id


def _of_study(store: Store, study: str) -> list[Run]:
    return runs_with_tags(store, {KIND: "sweep", STUDY: study})


def reopen(store: Store, parent: Run) -> None:
    """Set a parent run to RUNNING; what failed before is run again, and told again if it fails again."""
    store.client.update_run(parent.run_id, status="RUNNING")
    for tag in parent.tags:
        if tag.startswith(FAILED_JOB):
            store.client.delete_tag(parent.run_id, tag)


def _recorded(overrides: Sequence[str]) -> str:
    return without_password(" ".join(overrides))
