"""How sure a score is: a bootstrap of whole dates and whole spatial blocks, on sums alone.

Pixels of one date share its weather, and those of one block its soil, so neither pixels nor cells of date x block are
independent. Dates and blocks are drawn with replacement, apart from each other, and a cell counts as often as its date
was drawn times as often as its block was: the pigeonhole bootstrap (Owen 2007, doi:10.1214/07-AOAS122), which is right
for crossed random effects up to a small excess of width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlssm.scores.sums import SCORES, SUMS, Distribution, score_values

CHUNK = 8_000_000  # weights that are held at once
MOST_UNDEFINED = 0.05  # share of draws without a score beyond which there is no interval
OF_LABELS = [SUMS.index(name) for name in ("n", "target", "target^2")]
ONE_BLOCK = "one block: dates alone were resampled"


@dataclass(frozen=True)
class Resampling:
    """How a bootstrap draws.

    Attributes:
        draws: Number of draws.
        level: Of the intervals, e.g. 0.95.
        seed: Equal ones draw the same dates and blocks, which pairs two models on the same cells.
    """

    draws: int
    level: float
    seed: int


@dataclass(frozen=True)
class Interval:
    """A percentile interval; NaN where it is not defined."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Intervals of the scores, or of the differences of two models' scores.

    Attributes:
        level: Share of the draws within.
        r2: Of R2.
        rmse: SSM units.
        mae: SSM units.
        corr: Of the correlation.
        bias: SSM units.
        reason: Why one is not defined, or how else than by date and block was drawn; mostly empty.
    """

    level: float
    r2: Interval
    rmse: Interval
    mae: Interval
    corr: Interval
    bias: Interval
    reason: str


@dataclass(frozen=True)
class Replicates:
    """The sums of each draw.

    Attributes:
        sums: float64 [draws, bins, len(SUMS)]; no draw where nothing can be resampled.
        level: Of the intervals.
        reason: As in `Intervals`.
    """

    sums: Tensor
    level: float
    reason: str


def resample(sums: Tensor, resampling: Resampling) -> Replicates:
    """Weigh the cells of each draw, and sum them up. Dates and blocks without a labelled pixel have no share.

    Args:
        sums: float64 [dates, blocks, bins, len(SUMS)].
        resampling: Draws, level and seed.

    Returns:
        The sums of each draw; none where there are no pixels, or of one date. On one block dates alone are drawn.
    """
    return resample_all({"": sums}, resampling)[""]


def resample_all(sums: Mapping[str, Tensor], resampling: Resampling) -> dict[str, Replicates]:
    """The same draws of several models that were scored on the same pixels; see `resample`.

    Some cells at a time: their sums may lie in files, and all of them would be large.
    """
    if not sums:
        return {}
    first = next(iter(sums.values()))
    date, block = (first[..., 0].sum(-1) > 0).nonzero(as_tuple=True)
    of_date, of_block = (torch.unique(index, return_inverse=True)[1] for index in (date, block))
    dates, blocks = (int(index.max()) + 1 if len(index) else 0 for index in (of_date, of_block))
    reason = "no labelled pixels" if not dates else "one date" if dates == 1 else ONE_BLOCK if blocks == 1 else ""
    draws, shape = resampling.draws if dates > 1 else 0, first.shape[-2:]
    found = {model: first.new_zeros(draws, shape.numel()) for model in sums}
    for some, weights in _weights(of_date, of_block, resampling) if draws else ():
        for model, table in sums.items():
            found[model] += weights @ table[date[some], block[some]].flatten(1)
    return {model: Replicates(table.reshape(-1, *shape), resampling.level, reason) for model, table in found.items()}


def intervals(replicates: Replicates, distribution: Distribution = "natural") -> Intervals:
    """Percentile intervals of the scores; draws without a score are left out, unless they are more than a few."""
    return _percentiles(score_values(replicates.sums, distribution), replicates.level, replicates.reason)


def difference(a: Replicates, b: Replicates, distribution: Distribution = "natural") -> Intervals:
    """Percentile intervals of the score of `a` less that of `b`, draw by draw.

    Args:
        a: Of one model or run.
        b: Of another, resampled from the same cells with the same `Resampling`.
        distribution: As in `scores`.

    Raises:
        ValueError: The two were not drawn alike, or their labels differ.
    """
    _check_paired(a, b)
    found = score_values(a.sums, distribution) - score_values(b.sums, distribution)
    return _percentiles(found, a.level, a.reason)


def skill(a: Replicates, b: Replicates, distribution: Distribution = "natural") -> Interval:
    """Percentile interval of 1 - MSE of `a` / MSE of `b`, draw by draw; arguments and errors as in `difference`."""
    _check_paired(a, b)
    rmse = SCORES.index("rmse")
    one, other = (score_values(each.sums, distribution)[:, rmse] for each in (a, b))
    return _interval(torch.where(other > 0, 1 - (one / other) ** 2, torch.nan), a.level)


def unbiased_rmse(replicates: Replicates) -> Interval:
    """Percentile interval of sqrt(RMSE^2 - bias^2), the standard deviation of the difference, in the scores' units."""
    found = score_values(replicates.sums, "natural")
    rmse, bias = (found[:, SCORES.index(name)] for name in ("rmse", "bias"))
    return _interval((rmse**2 - bias**2).clamp(min=0).sqrt(), replicates.level)


def differs(interval: Interval) -> bool:
    """Whether a difference is shown: 0 lies outside its interval, and the interval is defined."""
    return interval.low > 0 or interval.high < 0


def _check_paired(a: Replicates, b: Replicates) -> None:
    one, other = a.sums[..., OF_LABELS], b.sums[..., OF_LABELS]
    if one.shape != other.shape or not torch.allclose(one, other, rtol=1e-9, atol=1e-9):
        raise ValueError(
            "these two cannot be compared draw by draw: they were resampled differently, or their labels differ"
        )


def _weights(date: Tensor, block: Tensor, resampling: Resampling) -> Iterator[tuple[slice, Tensor]]:
    """How often each of some cells is drawn, float64 [draws, cells]; all of them one after the other."""
    generator = np.random.default_rng(resampling.seed)
    of_date, of_block = (_counts(generator, index, resampling.draws) for index in (date, block))
    step = max(1, CHUNK // resampling.draws)
    for start in range(0, len(date), step):
        some = slice(start, start + step)
        yield some, of_date[:, date[some]] * of_block[:, block[some]]


def _counts(generator: np.random.Generator, index: Tensor, draws: int) -> Tensor:
    """How often each of the things that `index` numbers is drawn, float64 [draws, things]."""
    things = int(index.max()) + 1
    return torch.from_numpy(generator.multinomial(things, np.full(things, 1 / things), draws).astype(np.float64))


def _percentiles(values: Tensor, level: float, reason: str) -> Intervals:
    """Of the values of each draw, [draws, len(SCORES)]."""
    found = {name: _interval(values[:, place], level) for place, name in enumerate(SCORES)}
    lost = max((int(values[:, SCORES.index(name)].isnan().sum()) for name in ("r2", "rmse", "corr")), default=0)
    if lost > MOST_UNDEFINED * len(values):
        reason = f"{lost} of {len(values)} draws have no score"
    return Intervals(level, found["r2"], found["rmse"], found["mae"], found["corr"], found["bias"], reason)


def _interval(values: Tensor, level: float) -> Interval:
    known = values[~values.isnan()]
    if len(known) < max(1, (1 - MOST_UNDEFINED) * len(values)):
        return Interval(math.nan, math.nan)
    low, high = np.quantile(known.numpy(), [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(low, high)
