"""How intervals fare on dates that they were not fitted on: sums by date, which add up and can be resampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.uncertainty.calibration import Calibration, by_date
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.uncertainty.support import block_means

SUMS = ("n", "covered", "width", "score")
SCORES = ("coverage", "width", "score")
ALL, CONSERVATIVE, PREDICTED, SPAN, EXTENT, SUPPORT = "all", "conservative", "predicted", "span", "extent", "support"
BINS = 5  # of predicted SSM
SPAN_EDGES = (2.0, 3.0, 4.0, 6.0)  # dB
SUPPORTS_M = (300.0, 1000.0)
PIT_BINS = 20
RELIABILITY_BINS = 10


@dataclass(frozen=True)
class Told:
    """How intervals are tallied.

    Attributes:
        level: Of the intervals.
        thresholds: SSM from which a pixel is wet.
        pixel_m: Size of a pixel, metres.
        extents: Number of extents.
        seed: Of the ranks of labels that are exactly 0 or 1.
    """

    level: float
    thresholds: tuple[float, ...]
    pixel_m: float
    extents: int
    seed: int


@dataclass(frozen=True)
class IntervalTally:
    """Sums by date.

    Attributes:
        times: Acquisitions, positions in the cube, rising [D].
        groups: By what pixels are told apart: their number, those covered, their widths and interval scores, float64
            [D, group, 4]; see `SUMS`.
        pit: Labels by rank, see `Calibration.ranks` [D, 20].
        reliability: By threshold and forecast P(SSM > threshold): number, sum of P, and how many were above
            [D, thresholds, 10, 3].
        thresholds: SSM.
        level: Of the intervals.
    """

    times: tuple[int, ...]
    groups: Mapping[str, Floats]
    pit: Floats
    reliability: Floats
    thresholds: tuple[float, ...]
    level: float

    @classmethod
    def of(cls, calibration: Calibration, maps: Sequence[HeldOutMap], told: Told) -> IntervalTally:
        """Tally the intervals of some dates."""
        rng, dates = np.random.default_rng(told.seed), by_date(maps)
        parts = [_Date.of(calibration, extents, told, rng) for extents in dates]
        names = (ALL, CONSERVATIVE, PREDICTED, SPAN, EXTENT, SUPPORT)
        sizes = {ALL: 1, CONSERVATIVE: 1, PREDICTED: BINS, SPAN: len(SPAN_EDGES) + 1, EXTENT: told.extents}
        sizes[SUPPORT] = len(SUPPORTS_M)
        groups = {
            name: np.stack([part.groups[name] for part in parts]) if parts else np.zeros((0, sizes[name], len(SUMS)))
            for name in names
        }
        shape = len(told.thresholds), RELIABILITY_BINS, 3
        pit = np.stack([part.pit for part in parts]) if parts else np.zeros((0, PIT_BINS))
        reliability = np.stack([part.reliability for part in parts]) if parts else np.zeros((0, *shape))
        times = tuple(extents[0].time for extents in dates)
        return cls(times, groups, pit, reliability, told.thresholds, told.level)

    @classmethod
    def joined(cls, parts: Sequence[IntervalTally]) -> IntervalTally:
        """Several folds, or seeds, as one: a date that several have has the sums of all.

        Raises:
            ValueError: They were tallied differently.
        """
        if len({(part.level, part.thresholds) for part in parts}) > 1:
            raise ValueError("intervals of different levels or thresholds cannot be joined")
        times, place = np.unique(np.concatenate([part.times for part in parts]).astype(np.int64), return_inverse=True)

        def added(tables: Sequence[Floats]) -> Floats:
            total = np.zeros((len(times), *tables[0].shape[1:]))
            np.add.at(total, place, np.concatenate(tables))
            return total

        groups = {name: added([part.groups[name] for part in parts]) for name in parts[0].groups}
        pit, reliability = added([part.pit for part in parts]), added([part.reliability for part in parts])
        return replace(parts[0], times=tuple(times.tolist()), groups=groups, pit=pit, reliability=reliability)

    @property
    def scores(self) -> dict[str, float]:
        """Coverage, mean width and mean interval score of all pixels, SSM units; NaN where there is none."""
        n, *sums = self.groups[ALL].sum(axis=(0, 1))
        return {name: float(value / n) if n else math.nan for name, value in zip(SCORES, sums, strict=True)}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it by name."""
        groups = {f"groups/{name}": values for name, values in self.groups.items()}
        about = {"thresholds": np.array(self.thresholds), "level": np.array(self.level)}
        return {
            "times": np.array(self.times, np.int64),
            **groups,
            "pit": self.pit,
            "reliability": self.reliability,
            **about,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> IntervalTally:
        """From `arrays`."""
        groups = {name.removeprefix("groups/"): values for name, values in arrays.items() if name.startswith("groups/")}
        times, thresholds = tuple(arrays["times"].tolist()), tuple(arrays["thresholds"].tolist())
        return cls(times, groups, arrays["pit"], arrays["reliability"], thresholds, float(arrays["level"]))


@dataclass(frozen=True)
class _Date:
    """The sums of one date."""

    groups: dict[str, Floats]
    pit: Floats
    reliability: Floats

    @classmethod
    def of(cls, calibration: Calibration, extents: Sequence[HeldOutMap], told: Told, rng: np.random.Generator) -> _Date:
        pairs = [(each, calibration.deviation(each)) for each in extents]
        mean, deviation, label, span, extent = _pixels(pairs)
        found = _columns(*calibration.interval(mean, deviation, told.level), label, told.level)
        careful = _columns(*calibration.conservative_interval(mean, deviation, told.level), label, told.level)
        zero = np.zeros(len(mean), np.int64)
        wetness = np.minimum((mean * BINS).astype(np.int64), BINS - 1)
        groups = {
            ALL: _grouped(found, zero, 1),
            CONSERVATIVE: _grouped(careful, zero, 1),
            PREDICTED: _grouped(found, wetness, BINS),
            SPAN: _grouped(found, np.digitize(span, SPAN_EDGES), len(SPAN_EDGES) + 1),
            EXTENT: _grouped(found, extent.astype(np.int64), told.extents),
            SUPPORT: np.stack([_of_blocks(calibration, pairs, support, told) for support in SUPPORTS_M]),
        }
        ranks = calibration.ranks(mean, deviation, label, rng.random(len(label)))
        pit = np.histogram(ranks, PIT_BINS, (0, 1))[0].astype(float)
        reliability = [_reliability(calibration.exceedance(mean, deviation, t), label > t) for t in told.thresholds]
        shape = len(told.thresholds), RELIABILITY_BINS, 3
        return cls(groups, pit, np.array(reliability).reshape(shape))


def interval_score(low: Floats, high: Floats, label: Floats, level: float) -> Floats:
    """Width plus 2 / (1 - level) times how far the label lies outside (Gneiting & Raftery 2007, eq. 43)."""
    outside = np.maximum(low - label, 0) + np.maximum(label - high, 0)
    return high - low + 2 / (1 - level) * outside


def _pixels(pairs: Sequence[tuple[HeldOutMap, Floats]]) -> Floats:
    """Prediction, deviation, label, span and number of the extent of the labelled pixels of a date [5, n]."""
    parts = []
    for each, deviation in pairs:
        maps = np.stack([each.mean, deviation, each.label, each.span, np.full(each.mean.shape, each.extent)])
        parts.append(maps[:, each.known])
    return np.concatenate(parts, axis=1).astype(float)


def _columns(low: Floats, high: Floats, label: Floats, level: float) -> Floats:
    """Of each label, `SUMS` [n, 4]."""
    inside = (low <= label) & (label <= high)
    return np.column_stack([np.ones_like(label), inside, high - low, interval_score(low, high, label, level)])


def _grouped(values: Floats, group: npt.NDArray[np.int64], groups: int) -> Floats:
    total = np.zeros((groups, values.shape[1]))
    np.add.at(total, group, values)
    return total


def _of_blocks(
    calibration: Calibration, pairs: Sequence[tuple[HeldOutMap, Floats]], support_m: float, told: Told
) -> Floats:
    """Sums of the means over square blocks of a side [4]; none where a pixel is as large, or an extent smaller."""
    side = round(support_m / told.pixel_m)
    total = np.zeros(len(SUMS))
    if side < 2:
        return total
    for each, deviation in pairs:
        parts = (np.where(each.known, values, np.nan) for values in (each.mean, deviation, each.label))
        mean, spread, label = (block_means(part, side).ravel() for part in parts)
        known = np.isfinite(label)
        ends = calibration.mean_interval(mean[known], spread[known], side * side, told.level)
        total += _columns(*ends, label[known], told.level).sum(axis=0)
    return total


def _reliability(probability: Floats, above: npt.NDArray[np.bool_]) -> Floats:
    """Number, sum of the probabilities, and how many were above, by bin of the probability [10, 3]."""
    place = np.minimum((probability * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    return _grouped(np.column_stack([np.ones_like(probability), probability, above]), place, RELIABILITY_BINS)
