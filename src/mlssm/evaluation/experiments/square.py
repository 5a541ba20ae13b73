"""The 2 x 2 that tells a better model from an easier test: {plain, rebalanced} training x {natural, balanced} test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

from mlssm.evaluation.experiments.comparison import PLAIN, REBALANCED
from mlssm.evaluation.experiments.paper import implied_variance
from mlssm.evaluation.experiments.runs import Children, Setting

if TYPE_CHECKING:
    import pandas as pd

NAMES: Final = {PLAIN: "plain", REBALANCED: "rebalanced"}
TRAININGS: Final = tuple(NAMES)
TESTS: Final = ("natural", "balanced")
SHOWN: Final = (("r2", "R2"), ("rmse", "RMSE"), ("variance", "implied variance"))


def square(children: Children, splits: Sequence[str]) -> pd.DataFrame:
    """The 2 x 2 on the test split under some splits, for each lag that was trained, or should have been.

    Args:
        children: The trainings.
        splits: Of the trainings, e.g. `by_season`.

    Returns:
        Columns `split`, `lag`, `training` (the sampler), `test` (the distribution), `runs`, `n`, `r2`, `r2_low`,
        `r2_high`, `r2_cap`, `rmse`, `variance` (RMSE² / (1 - R2), SSM units squared) and `reason`: why scores are
        NaN.
    """
    import pandas as pd

    lags = sorted({setting.lag for setting in children.settings})
    cells = product(splits, lags, TRAININGS, TESTS)
    return pd.DataFrame(_cell(children, Setting(lag, training, split), test) for split, lag, training, test in cells)


def _cell(children: Children, setting: Setting, test: str) -> dict[str, object]:
    found = children.find(setting, "test", test)
    row: dict[str, object] = {"split": setting.split, "lag": setting.lag, "training": setting.sampler, "test": test}
    row |= {"runs": children.count(setting)}
    row |= {name: getattr(found, name) for name in ("n", "r2", "r2_low", "r2_high", "r2_cap", "rmse")}
    return row | {"variance": implied_variance(found.rmse, found.r2), "reason": found.reason}


def square_layout(table: pd.DataFrame) -> pd.DataFrame:
    """Rows split x lag x training, columns test x (R2, RMSE, implied variance); `reason` says why a row has gaps."""
    import pandas as pd

    rows = []
    for (split, lag, training), block in table.groupby(["split", "lag", "training"], sort=False):
        cells = block.set_index("test")
        row = {("split", ""): split, ("lag", ""): lag, ("training", ""): NAMES[str(training)]}
        row |= {(f"{test} test", label): cells.loc[test, score] for test in TESTS for score, label in SHOWN}
        rows.append(row | {("reason", ""): "; ".join(filter(None, dict.fromkeys(block["reason"])))})
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(list(rows[0])))


@dataclass(frozen=True)
class Effects:
    """What the change of a score from (plain, natural) to (rebalanced, balanced) is made of.

    Attributes:
        start: The score of plain training on the natural test, the mean over lags.
        end: That of rebalanced training on the balanced test.
        test: What the test set changes, the mean over both trainings.
        training: What the training changes, the mean over both tests; `test` + `training` = `end` - `start`, exactly.
    """

    start: float
    end: float
    test: float
    training: float


def complete_lags(table: pd.DataFrame) -> list[int]:
    """The lags of which all four cells are scored."""
    known = table.dropna(subset=["r2", "rmse"])["lag"].value_counts()
    return sorted(known.index[known == len(TRAININGS) * len(TESTS)].astype(int).tolist())


def effects(table: pd.DataFrame, score: str) -> Effects:
    """The two main effects on a score, averaged over the lags of which all four cells are scored; NaN where none is.

    Args:
        table: As `square` makes it, of one split.
        score: `r2`, `rmse` or `variance`.
    """
    complete = table[table["lag"].isin(complete_lags(table))]
    means = complete.groupby(["training", "test"])[score].mean()
    cells = means.reindex([(training, test) for training in TRAININGS for test in TESTS])
    plain_natural, plain_balanced, rebalanced_natural, rebalanced_balanced = (float(value) for value in cells)
    return Effects(
        start=plain_natural,
        end=rebalanced_balanced,
        test=(plain_balanced - plain_natural + rebalanced_balanced - rebalanced_natural) / 2,
        training=(rebalanced_natural - plain_natural + rebalanced_balanced - plain_balanced) / 2,
    )


def square_sentence(table: pd.DataFrame) -> str:
    """What the numbers of a 2 x 2 say: how much of the change is the test set's, and how much the training's."""
    lags, all_lags = complete_lags(table), sorted(set(table["lag"]))
    if not lags:
        return "No lag has all four cells of the 2 x 2: the test set's effect and the training's cannot be told apart."
    r2, rmse, variance = (effects(table, score) for score in ("r2", "rmse", "variance"))
    left_out = [lag for lag in all_lags if lag not in lags]
    gaps = f" Left out for want of a cell: lag {_listed(left_out)}." if left_out else ""
    return (
        f"Split {table['split'].iloc[0]}, mean of lag {_listed(lags)}, from plain training on the natural test to "
        f"rebalanced training on the balanced test: R2 {_told(r2)}; RMSE {_told(rmse)}. "
        f"The implied variance of the labels goes from {variance.start:.3f} to {variance.end:.3f}.{gaps}"
    )


def _told(found: Effects) -> str:
    return (
        f"goes from {found.start:.3f} to {found.end:.3f}, of which the test set makes {found.test:+.3f} "
        f"and the training {found.training:+.3f}"
    )


def _listed(lags: list[int]) -> str:
    return ", ".join(str(lag) for lag in lags)
