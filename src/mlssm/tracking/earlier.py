"""What an earlier, broken-off sweep has done of a job."""

from __future__ import annotations

from dataclasses import dataclass

from mlssm.errors import RunError
from mlssm.tracking.find import Run, children
from mlssm.tracking.names import own_overrides, what_is_trained
from mlssm.tracking.store import Store
from mlssm.tracking.writer import is_alive

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
    return " ".join(sorted(what_is_trained(own_overrides() or ())))


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
