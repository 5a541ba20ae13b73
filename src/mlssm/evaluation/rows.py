"""The rows of the table of scores: each with its intervals and its skill."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from mlssm.evaluation.table import Kind, RowDistribution, ScoreRow
from mlssm.scores.bootstrap import Replicates, Resampling, intervals, resample_all, skill
from mlssm.scores.sums import Distribution, scores


def score_rows(
    split: str,
    sums: Mapping[str, Tensor],
    distributions: Sequence[RowDistribution],
    kinds: Mapping[str, Kind],
    resampling: Resampling,
    track_variance: float = math.nan,
) -> list[ScoreRow]:
    """The rows of one split.

    Args:
        split: Its name.
        sums: By model, float64 [dates, blocks, bins, len(SUMS)].
        distributions: Which; `two_pass` weighs the pixels of the sums alike, as `natural` does.
        kinds: What each model is.
        resampling: How the intervals are drawn.
        track_variance: Of labels, that is their track's own, see `mlssm.scores.sums.scores`.
    """
    rows, draws = [], resample_all(sums, resampling)
    for model, drawn in draws.items():
        for name in distributions:
            found = scores(sums[model], weighing(name), track_variance), intervals(drawn, weighing(name))
            by_speckle = scores(sums[model], weighing(name)).r2_cap
            rows.append(ScoreRow(model, kinds[model], split, name, *found, r2_cap_speckle=by_speckle))
    return _with_skill(rows, draws)


def weighing(name: RowDistribution) -> Distribution:
    """How the pixels of a row weigh: those of `two_pass` alike, as `natural` ones do."""
    return "balanced" if name == "balanced" else "natural"


def best_baseline(rows: Sequence[ScoreRow], split: str, distribution: str) -> ScoreRow | None:
    """The baseline with the lowest RMSE on a split and distribution; None where none has one."""
    known = [row for row in rows if row.kind == "baseline" and not math.isnan(row.scores.rmse)]
    there = [row for row in known if (row.split, row.distribution) == (split, distribution)]
    return min(there, key=lambda row: row.scores.rmse, default=None)


def _with_skill(rows: Sequence[ScoreRow], draws: Mapping[str, Replicates]) -> list[ScoreRow]:
    """The rows of a split with their skill over the best baseline of their distribution."""
    return [_over(row, best_baseline(rows, row.split, row.distribution), draws) for row in rows]


def _over(row: ScoreRow, best: ScoreRow | None, draws: Mapping[str, Replicates]) -> ScoreRow:
    if best is None or best.scores.rmse == 0:
        return row
    ends = skill(draws[row.model], draws[best.model], weighing(row.distribution))
    gained = 1 - (row.scores.rmse / best.scores.rmse) ** 2
    return replace(row, skill=gained, skill_interval=ends, best=best.model)
