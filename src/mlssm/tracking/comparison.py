"""What a sweep comes to: its children side by side, the best one linked, and the parent's end status."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mlssm.errors import MlssmError
from mlssm.markdown import markdown
from mlssm.tracking.find import Run, children, find_run
from mlssm.tracking.lifecycle import mark_dead
from mlssm.tracking.parent import FAILED_JOB, STUDY, SUPERSEDED
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.store import Store
from mlssm.tracking.tags import DIED, NOTE, PRUNED
from mlssm.tracking.writer import is_alive

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Summary = Callable[[TrackedRun, Sequence[Run]], str]
SCORES = ("r2", "rmse", "mae", "corr", "bias", "r2_cap", "skill")
COMPARED = tuple(f"{split}/natural/{score}" for split in ("val", "test") for score in SCORES)
SELECTED_BY = "val/natural/rmse"
BEST = "mlssm.best_run"
SHOWN = (SELECTED_BY, *(f"test/natural/{score}" for score in SCORES if score != "r2_cap"))
MOST_CHARACTERS = 8000  # of a description, by MLflow
MOST_SHOWN = 20  # runs in it
BOOKKEEPING_PARAMETERS = ("tracking.", "trial", "resume", "sweep.")  # parameters that say nothing of what was trained


def compare(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run: its name, status, the parameters that differ between the runs, and its natural scores."""
    import pandas as pd

    changed = changed_parameters(runs)
    rows = [
        {"run": run.name, "status": "PRUNED" if PRUNED in run.tags else run.status}
        | {key: run.params.get(key) for key in changed}
        | {key: run.metrics.get(key, float("nan")) for key in COMPARED}
        | {"run_id": run.run_id}
        for run in runs
    ]
    return pd.DataFrame(rows, columns=["run", "status", *changed, *COMPARED, "run_id"])


def changed_parameters(runs: Sequence[Run]) -> list[str]:
    """The parameters that do not have one value in all runs, sorted. A run that failed early may lack some."""
    keys = sorted({key for run in runs for key in run.params if not key.startswith(BOOKKEEPING_PARAMETERS)})
    return [key for key in keys if len({run.params[key] for run in runs if key in run.params}) > 1]


def best_run(runs: Sequence[Run]) -> Run | None:
    """The finished run that is best on validation; None where none has a score."""
    scored = [run for run in runs if run.status == "FINISHED" and math.isfinite(run.metrics.get(SELECTED_BY, math.nan))]
    return min(scored, key=lambda run: run.metrics[SELECTED_BY], default=None)


def close_sweep(parent: TrackedRun, outcome: str, summarise: Summary | None = None, *, others_run: bool = False) -> str:
    """Write the comparison to the parent run and set its end status, which is returned.

    Args:
        parent: The parent run.
        outcome: How the sweep itself ended: FINISHED, FAILED or KILLED. Jobs that ended worse decide over it.
        summarise: Writes what else the children come to, from what they kept, and returns what the description is to
            say of it.
        others_run: Whether other processes still run jobs under this parent: then it stays RUNNING.
    """
    store = parent.store
    runs = counted_children(store, parent.run_id)
    note = _write_comparison(parent, runs) if runs else ""
    if summarise is not None:
        try:
            note = _joined(note, summarise(parent, runs))
        except MlssmError as error:
            log.error("sweep %s: its children could not be summed up: %s", parent.run_id, error)
            outcome = "FAILED"
    if note:
        parent.set_tags({NOTE: note})
    if others_run:
        return "RUNNING"
    tags = find_run(store, parent.run_id).tags
    failed_job = any(tag.startswith(FAILED_JOB) for tag in tags)
    # what a search pruned has not failed, nor has a trial whose process died: its point is tried again
    spared = (PRUNED, DIED) if STUDY in tags else (PRUNED,)
    counted = [run.status for run in runs if not any(tag in run.tags for tag in spared)]
    status = end_status(counted, failed_job, outcome)
    parent.end(status)
    return status


def counted_children(store: Store, parent_run_id: str) -> list[Run]:
    """The runs under a parent, without those that another one took the place of; the dead are marked."""
    runs = [run for run in children(store, parent_run_id) if SUPERSEDED not in run.tags]
    dead = [run for run in runs if run.status == "RUNNING" and is_alive(run.tags) is False]
    for run in dead:
        mark_dead(store, run.run_id, "its process is gone")
    return [find_run(store, run.run_id) if run in dead else run for run in runs]


def end_status(children: Sequence[str], failed_job: bool, outcome: str) -> str:
    """The parent's end status: its children's, whether a job failed without a child, and its own outcome."""
    if "KILLED" in (*children, outcome):
        return "KILLED"
    if failed_job or any(status != "FINISHED" for status in (*children, outcome)):
        return "FAILED"  # a child that is still RUNNING has died without a word
    return "FINISHED"


def _joined(note: str, more: str) -> str:
    """The description with what else there is to say, where MLflow takes as much."""
    if not note or not more:
        return note or more
    whole = f"{note}\n\n{more}"
    return whole if len(whole) <= MOST_CHARACTERS else f"{note}\n\nMore is in the artifacts."


def _write_comparison(parent: TrackedRun, runs: Sequence[Run]) -> str:
    """Write the table, link the best run, and return the beginning of the description."""
    parent.log_table(compare(runs), "comparison")
    best = best_run(runs)
    found = "No run has a score on validation.\n\n"
    if best is not None:
        parent.set_tags({BEST: best.run_id})
        parent.log_metrics({key: best.metrics[key] for key in COMPARED if key in best.metrics})
        verdict = f" {best.verdict}." if best.verdict else ""
        score = f"{SELECTED_BY} {best.metrics[SELECTED_BY]:.4f}"
        found = f"Best on validation: {_link(parent.store, best)}, {score}.{verdict}\n\n"
    ranked = sorted(runs, key=lambda run: run.metrics.get(SELECTED_BY, math.inf))
    return found + _ranking(parent.store, ranked[:MOST_SHOWN])


def _ranking(store: Store, runs: Sequence[Run]) -> str:
    import pandas as pd

    rows = [
        {"run": _link(store, run), "status": run.status}
        | {key.replace("/natural/", " "): run.metrics.get(key, float("nan")) for key in SHOWN}
        for run in runs
    ]
    return markdown(pd.DataFrame(rows))


def _link(store: Store, run: Run) -> str:
    return f"[{run.name[:60]}](#/experiments/{store.experiment_id}/runs/{run.run_id})"
