"""Scores by the length of the antecedent window, the network's and the best baseline's, as the paper tabulates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

SCORES: Final = ("r2", "rmse", "mae", "corr", "bias")
KEPT: Final = (*SCORES, "r2_cap", "skill")
SPLITS: Final = ("test", "val")
BASELINE: Final = "best baseline"


@dataclass(frozen=True)
class LagRun:
    """A training of a sweep over the lag.

    Attributes:
        lag: Days of the antecedent window.
        series: What else was varied, as text; empty if nothing but the seed.
        scores: Its `scores.csv`.
    """

    lag: float
    series: str
    scores: pd.DataFrame


def lag_table(runs: Sequence[LagRun]) -> pd.DataFrame:
    """The natural scores of each training and of the baseline that is best there.

    Args:
        runs: At least one.

    Returns:
        A row a training, split (`test`, `val`) and model: `lag`, `series`, `split`, `kind` (`network`, `baseline`),
        `model`, and the columns `KEPT`, RMSE, MAE and bias in SSM units.
    """
    import pandas as pd

    return pd.DataFrame([row for run in runs for split in SPLITS for row in _rows(run, split)])


def _rows(run: LagRun, split: str) -> list[dict[str, object]]:
    there = run.scores[(run.scores["split"] == split) & (run.scores["distribution"] == "natural")]
    network = there[there["kind"] == "network"]
    # in the table of scores every row names the baseline of the lowest RMSE, or none
    best = there[(there["kind"] == "baseline") & there["model"].isin(network["best_baseline"])]
    place = {"lag": run.lag, "series": run.series, "split": split}
    return [
        place | {"kind": row["kind"], "model": row["model"]} | {name: row[name] for name in KEPT}
        for part in (network, best)
        for row in part.to_dict("records")
    ]


def lag_summary(table: pd.DataFrame) -> pd.DataFrame:
    """The test scores by lag in few columns, for a description: the mean of the runs of a lag.

    Args:
        table: As `lag_table` gives it.

    Returns:
        A row a series and lag, and one for the best baseline there: `lag`, `model`, and R2, RMSE, MAE, correlation,
        bias and skill.
    """
    import pandas as pd

    test = table[table["split"] == "test"]
    baseline = test["kind"] == "baseline"
    named = test["series"].where(test["series"] != "", test["model"])
    shown = test.assign(shown=named.where(~baseline, BASELINE + ": " + test["model"]))
    means = shown.groupby(["lag", "kind", "shown"], sort=False)[[*SCORES, "skill"]].mean().reset_index()
    order = means.assign(last=means["kind"] == "baseline").sort_values(["lag", "last"], kind="stable")
    titles = {"shown": "model", "r2": "R2", "rmse": "RMSE", "mae": "MAE"}
    return pd.DataFrame(order[["lag", "shown", *SCORES, "skill"]].rename(columns=titles).reset_index(drop=True))
