"""The paper's table in the paper's layout, its numbers beside ours, under two protocols."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import TYPE_CHECKING, Final

from mlssm.evaluation.experiments.paper import PAPER, PARTS, STAGES, Part, Stage, implied_variance, paper_row
from mlssm.evaluation.experiments.runs import Children, Setting

if TYPE_CHECKING:
    import pandas as pd

SCORES: Final = (("r2", "R2"), ("rmse", "RMSE"), ("mae", "MAE"), ("corr", "corr"))
SOURCES: Final = ("paper", "ours")
PLAIN, REBALANCED = "natural", "two_pass"  # the samplers of the two trainings
RANDOM = "random_patch"


@dataclass(frozen=True)
class Protocol:
    """How the two rows of each lag are trained and scored.

    Attributes:
        name: What it is called in tables.
        split: Of the trainings.
        after: Distribution that the rebalanced training is scored on; the plain one is scored on `natural`.
    """

    name: str
    split: str
    after: str

    def setting(self, lag: int, stage: Stage) -> Setting:
        """The training of a row."""
        return Setting(lag, PLAIN if stage == "before" else REBALANCED, self.split)

    def distribution(self, stage: Stage) -> str:
        """What a row is scored on."""
        return "natural" if stage == "before" else self.after


PAPERS_OWN: Final = Protocol("the paper's own protocol", RANDOM, REBALANCED)


def held_out(split: str) -> Protocol:
    """Both trainings scored on the same natural distribution, on what the split held out."""
    return Protocol(f"held out {split}, natural test", split, "natural")


def compare(children: Children, protocols: tuple[Protocol, ...]) -> pd.DataFrame:
    """The paper's scores and ours, a row a number.

    Args:
        children: The trainings.
        protocols: How they are scored.

    Returns:
        Columns `protocol`, `lag` (the paper's and those of the trainings), `stage` (`before`, `after`), `split`,
        `score` (`r2`, `rmse`, `mae`, `corr`), `paper`, `ours` and `reason`: why `ours` is NaN. Where the paper has no
        such lag,
        `paper` is NaN.
    """
    import pandas as pd

    lags = sorted({row.lag for row in PAPER} | {setting.lag for setting in children.settings})
    places = product(protocols, lags, STAGES, PARTS)
    return pd.DataFrame([row for place in places for row in _rows(children, *place)])


def _rows(children: Children, protocol: Protocol, lag: int, stage: Stage, part: Part) -> list[dict[str, object]]:
    """A row a score."""
    ours = children.find(protocol.setting(lag, stage), part, protocol.distribution(stage))
    paper = paper_row(lag, stage, part)
    where = {"protocol": protocol.name, "lag": lag, "stage": stage, "split": part}
    pairs = [(score, getattr(paper, score, math.nan), getattr(ours, score)) for score, _ in SCORES]
    reason = {"reason": ours.reason}
    return [where | {"score": score, "paper": theirs, "ours": found} | reason for score, theirs, found in pairs]


def paper_layout(comparison: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """The paper's table: rows lag x (before, after) x (paper, ours), columns score x (train, val, test).

    Returns:
        Two levels of columns; `reason` says why a row has gaps.
    """
    import pandas as pd

    chosen = comparison[comparison["protocol"] == protocol.name]
    blocks = chosen.groupby(["lag", "stage"], sort=False)
    rows = [_layout_row(lag, stage, source, block) for (lag, stage), block in blocks for source in SOURCES]
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(list(rows[0])))


def _layout_row(lag: object, stage: object, source: str, block: pd.DataFrame) -> dict[tuple[str, str], object]:
    values = block.set_index(["score", "split"])[source]
    missing = block.loc[block[source].isna(), "reason"] if source == "ours" else [f"the paper has no lag of {lag} days"]
    row: dict[tuple[str, str], object] = {("lag", ""): lag, ("stage", ""): stage, ("source", ""): source}
    row |= {(label, part): values[score, part] for score, label in SCORES for part in PARTS}
    return row | {("reason", ""): "; ".join(dict.fromkeys(missing)) if values.isna().any() else ""}


def before_and_after(comparison: pd.DataFrame, protocol: Protocol) -> str:
    """A sentence on how test R2, RMSE and the implied variance move from before to after, the paper's and ours."""
    chosen = comparison[(comparison["protocol"] == protocol.name) & (comparison["split"] == "test")]
    return f"{protocol.name[0].upper()}{protocol.name[1:]}. " + " ".join(_moves(chosen, source) for source in SOURCES)


def _moves(test: pd.DataFrame, source: str) -> str:
    table = test.pivot(index="lag", columns=["score", "stage"], values=source)
    table = table[[(score, stage) for score in ("r2", "rmse") for stage in STAGES]].dropna()
    name = {"paper": "In the paper", "ours": "Here"}[source]
    if table.empty:
        return f"{name}, no lag has both rows."
    means = table.mean()
    lags = ", ".join(str(lag) for lag in table.index)
    variance = {stage: fmean(map(implied_variance, table["rmse", stage], table["r2", stage])) for stage in STAGES}
    return (
        f"{name}, from before to after rebalancing (mean of lag {lags}), test R2 goes from "
        f"{means['r2', 'before']:.3f} to {means['r2', 'after']:.3f}, RMSE from {means['rmse', 'before']:.3f} to "
        f"{means['rmse', 'after']:.3f}, and the variance of the labels that the two imply, RMSE² / (1 - R2), from "
        f"{variance['before']:.3f} to {variance['after']:.3f}."
    )
