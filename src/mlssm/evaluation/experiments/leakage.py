"""The experiment `leakage`: the same model under ever stricter splits, and how much of a score that costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from mlssm.evaluation.experiments.artifacts import Artifacts, NamedTable
from mlssm.evaluation.experiments.comparison import RANDOM
from mlssm.evaluation.experiments.runs import Children, Found, Setting
from mlssm.evaluation.figures import leakage_figure
from mlssm.evaluation.page import FigureBlock, Page, Section, TableBlock, Text
from mlssm.evaluation.picture import NamedFigure

if TYPE_CHECKING:
    import pandas as pd

ORDER: Final = (RANDOM, "by_date", "by_season", "by_block", "by_season_and_block")
COLUMNS: Final = (
    *("split", "lag", "sampler", "runs", "n", "r2", "r2_low", "r2_high", "r2_cap", "rmse"),
    *("baseline", "baseline_r2", "baseline_rmse", "skill", "reason"),
)
HEADINGS: Final = {
    **{"r2": "R2", "r2_low": "from", "r2_high": "to", "r2_cap": "cap", "rmse": "RMSE"},
    **{"baseline": "best baseline", "baseline_r2": "its R2", "baseline_rmse": "its RMSE"},
}
READ_TABLE = (
    "Test split, natural distribution. random_patch shares dates and places between training and test, by_date and "
    "by_season share places, by_block shares dates, by_season_and_block neither. 'from' and 'to' are the ends of R2's "
    "interval, the cap is the R2 of the best prediction that knows the noise-free backscatter, and the skill is "
    "1 - MSE / MSE of the best baseline: 0 = no better than it."
)
READ_FIGURE = (
    "The dotted line continues the score of the first row: what a row lacks to it is missing once dates or places are "
    "not shared. Splits have different test pixels, so compare the distance to the cap and the RMSE as well."
)


def leakage_table(children: Children) -> pd.DataFrame:
    """A row a split, from the loosest to the strictest: the network and the best baseline on test, natural.

    Returns:
        Columns `COLUMNS`; the best baseline is the one of the lowest test RMSE, `skill` = 1 - MSE / MSE of it,
        and `reason` says why scores are NaN.
    """
    import pandas as pd

    ordered = sorted(children.settings, key=lambda setting: (setting.lag, setting.sampler, _strictness(setting)))
    return pd.DataFrame([_row(children, setting) for setting in ordered], columns=list(COLUMNS))


def leakage(children: Children) -> Artifacts:
    """The table, the figure, and what they say.

    Args:
        children: At least one training, the same but for their splits.

    Raises:
        ValueError: There is no training.
    """
    if not children.settings:
        raise ValueError("the leakage of splits needs at least one training")
    table = leakage_table(children)
    groups = [group for _, group in table.groupby(["lag", "sampler"], sort=False)]
    summary = "\n\n".join(leakage_sentence(group) for group in groups)
    figures = tuple(_figure(group, len(groups) > 1) for group in groups)
    drawn = tuple(FigureBlock("R2 and RMSE by split", named.png, READ_FIGURE) for named in figures)
    shown = TableBlock("Scores by split", table.rename(columns=HEADINGS), READ_TABLE)
    page = Page(
        "Leakage: the same model under stricter splits",
        "How much of a test score goes away when training and test share neither dates nor places",
        (Section("What the numbers say", (Text(summary),)), Section("Scores", (shown, *drawn))),
    )
    return Artifacts((NamedTable("leakage", table),), figures, page, summary)


def leakage_sentence(table: pd.DataFrame) -> str:
    """What R2 under `random_patch` loses under each other split, and whether their intervals are apart."""
    known = table.dropna(subset=["r2"])
    reference = known[known["split"] == RANDOM]
    gaps = "".join(f" {row.split} has no score: {row.reason}." for row in table[table["r2"].isna()].itertuples())
    if reference.empty:
        return f"Without a score under {RANDOM} there is nothing to measure leakage from.{gaps}"
    first = reference.iloc[0]
    changes = [_change(first, row) for _, row in known[known["split"] != RANDOM].iterrows()]
    start = f"Under {RANDOM} the network's test R2 is {first['r2']:.3f} (skill over the best baseline {_skill(first)})."
    return " ".join([start, *changes]) + gaps


def _strictness(setting: Setting) -> int:
    return ORDER.index(setting.split) if setting.split in ORDER else len(ORDER)


def _row(children: Children, setting: Setting) -> dict[str, object]:
    found = children.find(setting, "test", "natural")
    name, baseline = _best_baseline(children, setting)
    row: dict[str, object] = {"split": setting.split, "lag": setting.lag, "sampler": setting.sampler}
    row |= {"runs": children.count(setting)}
    row |= {score: getattr(found, score) for score in ("n", "r2", "r2_low", "r2_high", "r2_cap", "rmse")}
    row |= {"baseline": name, "baseline_r2": baseline.r2, "baseline_rmse": baseline.rmse}
    skill = 1 - (found.rmse / baseline.rmse) ** 2 if baseline.rmse else math.nan
    return row | {"skill": skill, "reason": found.reason or baseline.reason}


def _best_baseline(children: Children, setting: Setting) -> tuple[str | None, Found]:
    """The baseline with the lowest test RMSE, and its scores."""
    scored = [(name, children.find(setting, "test", "natural", name)) for name in children.baselines(setting)]
    known = [(name, found) for name, found in scored if not math.isnan(found.rmse)]
    return min(known, key=lambda pair: pair[1].rmse, default=(None, Found.nothing("no baseline has a score")))


def _figure(group: pd.DataFrame, several: bool) -> NamedFigure:
    lag, sampler = group["lag"].iloc[0], group["sampler"].iloc[0]
    stem = f"leakage_lag_{lag}_{sampler}" if several else "leakage"
    return NamedFigure(stem, leakage_figure(group, f"lag {lag}, sampler {sampler}, test, natural"))


def _change(first: pd.Series[float], row: pd.Series[float]) -> str:
    lost = first["r2"] - row["r2"]
    share = f", {lost / first['r2']:.0%} of it" if lost > 0 and first["r2"] > 0 else ""
    word = "lower" if lost >= 0 else "higher"
    return (
        f"Under {row['split']} it is {row['r2']:.3f}: {word} by {abs(lost):.3f}{share}; {_apart(first, row)}; "
        f"skill {_skill(row)}."
    )


def _apart(first: pd.Series[float], row: pd.Series[float]) -> str:
    ends = [part[end] for part in (first, row) for end in ("r2_low", "r2_high")]
    if any(math.isnan(end) for end in ends):
        return "without intervals the two cannot be called different"
    overlap = ends[0] <= ends[3] and ends[2] <= ends[1]
    return "the intervals overlap, so the two are not called different" if overlap else "the intervals are apart"


def _skill(row: pd.Series[float]) -> str:
    return "not defined" if math.isnan(row["skill"]) else f"{row['skill']:.3f}"
