"""What a sweep comes to: its children side by side, and the parent's end status."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mlssm.errors import MlssmError
from mlssm.tracking.find import Run, children, find_run
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Summary = Callable[[TrackedRun, Sequence[Run]], None]
COMPARED = tuple(f"{split}/natural/{score}" for split in ("val", "test") for score in ("r2", "rmse", "r2_ceiling"))
FAILED_JOB = "failed."  # tags of the parent: failed.<job number>


def compare(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run: its name, status, the parameters that differ between the runs, and its natural scores."""
    import pandas as pd

    changed = changed_parameters(runs)
    rows = [
        {"run": run.name, "status": run.status}
        | {key: run.params.get(key) for key in changed}
        | {key: run.metrics.get(key, float("nan")) for key in COMPARED}
        | {"run_id": run.run_id}
        for run in runs
    ]
    return pd.DataFrame(rows, columns=["run", "status", *changed, *COMPARED, "run_id"])


def changed_parameters(runs: Sequence[Run]) -> list[str]:
    """The parameters that do not have one value in all runs, sorted. A run that failed early may lack some."""
    keys = sorted({key for run in runs for key in run.params})
    return [key for key in keys if len({run.params[key] for run in runs if key in run.params}) > 1]


def close_sweep(store: Store, parent_run_id: str, outcome: str, summarise: Summary | None = None) -> str:
    """Write the comparison to the parent run and set its end status, which is returned.

    Args:
        store: The open store.
        parent_run_id: The parent run.
        outcome: How the sweep itself ended: FINISHED, FAILED or KILLED. Jobs that ended worse decide over it.
        summarise: Writes what else the children come to, from what they kept.
    """
    parent = TrackedRun(store, parent_run_id)
    runs = children(store, parent_run_id)
    if runs:
        parent.log_table(compare(runs), "comparison")
    if summarise is not None:
        try:
            summarise(parent, runs)
        except MlssmError as error:
            log.error("sweep %s: its children could not be summed up: %s", parent_run_id, error)
            outcome = "FAILED"
    failed_job = any(tag.startswith(FAILED_JOB) for tag in find_run(store, parent_run_id).tags)
    status = end_status([run.status for run in runs], failed_job, outcome)
    store.client.set_terminated(parent_run_id, status)
    return status


def end_status(children: Sequence[str], failed_job: bool, outcome: str) -> str:
    """The parent's end status: its children's, whether a job failed without a child, and its own outcome."""
    if "KILLED" in (*children, outcome):
        return "KILLED"
    if failed_job or any(status != "FINISHED" for status in (*children, outcome)):
        return "FAILED"  # a child that is still RUNNING has died without a word
    return "FINISHED"
