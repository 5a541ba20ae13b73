"""Whether runs differ, or only seem to: paired intervals of their scores on the same test labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from mlssm.errors import RunError
from mlssm.evaluation.sums_file import SavedSums, compare_runs
from mlssm.scores.bootstrap import Interval, Intervals, Resampling, differs, intervals, resample
from mlssm.scores.sums import scores

SEED = 0  # of the bootstrap: the same draws for all runs


@dataclass(frozen=True)
class Scored:
    """A run and the sums of its test split.

    Attributes:
        name: Of the run.
        run_id: Of the run.
        val_rmse: RMSE on the natural validation split, SSM units: by it, and not by the test, the best is chosen.
        test: Of the test split.
        draws: Of the bootstrap.
        level: Of the intervals.
    """

    name: str
    run_id: str
    val_rmse: float
    test: SavedSums
    draws: int
    level: float


def differences(runs: Sequence[Scored], reference: Scored | None = None) -> pd.DataFrame:
    """Each run's test scores, natural, and its difference from the run that is best on validation, or from another.

    Args:
        runs: At least one.
        reference: What they are compared with, one of them; None = the best on validation.

    Returns:
        A row a run, the best on validation first: `run`, `val_rmse`, `r2`, `r2_low`, `r2_high`, `rmse`, `rmse_low`,
        `rmse_high`, `rmse_difference` from the best with its ends `difference_low` and `difference_high`, `differs` in
        words, and `run_id`. Runs on the same test labels are compared draw by draw; others are called different only
        where their intervals are apart.
    """
    ordered = sorted(runs, key=lambda run: run.val_rmse)
    best = ordered[0] if reference is None else reference
    return pd.DataFrame([_row(run, best) for run in ordered])


def _row(run: Scored, best: Scored) -> dict[str, object]:
    resampling = Resampling(best.draws, best.level, SEED)
    found, own = scores(_sums(run)), _intervals(run, resampling)
    row: dict[str, object] = {"run": run.name, "val_rmse": run.val_rmse, "r2": found.r2, **_ends("r2", own.r2)}
    row |= {"rmse": found.rmse, **_ends("rmse", own.rmse)}
    if run is best:
        return row | _nothing("") | {"run_id": run.run_id}
    change = found.rmse - scores(_sums(best)).rmse
    return row | _difference(run, best, change, resampling) | {"run_id": run.run_id}


def _difference(run: Scored, best: Scored, change: float, resampling: Resampling) -> dict[str, object]:
    try:
        interval = compare_runs(run.test, best.test, resampling).rmse
    except RunError:  # other labels: whether the intervals are apart is all that can be said
        own, others = _intervals(run, resampling).rmse, _intervals(best, resampling).rmse
        apart = own.low > others.high or own.high < others.low
        return _nothing(f"other test labels than {best.name}: intervals {'apart' if apart else 'overlap'}")
    side = "lower" if change < 0 else "higher"
    shown = f"RMSE {side} than {best.name}" if differs(interval) else f"no difference from {best.name} shown"
    ends = {"difference_low": interval.low, "difference_high": interval.high}
    return {"rmse_difference": change, **ends, "differs": shown}


def _sums(run: Scored) -> Tensor:
    return run.test.sums[run.test.network]


def _intervals(run: Scored, resampling: Resampling) -> Intervals:
    return intervals(resample(_sums(run), resampling))


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _nothing(words: str) -> dict[str, object]:
    nan = float("nan")
    return {"rmse_difference": nan, "difference_low": nan, "difference_high": nan, "differs": words}
