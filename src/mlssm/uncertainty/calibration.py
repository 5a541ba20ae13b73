"""The calibration of a model's maps: what it is fitted on, and the intervals that follow.

Dates are what is exchangeable, not pixels: those of one date share its weather, its image and the model's error about
both. Each date weighs the same, and what is claimed of coverage is claimed of dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from mlssm.grid import Floats
from mlssm.uncertainty.conservative import Conservative
from mlssm.uncertainty.held_out import HeldOutMap, Sample
from mlssm.uncertainty.scale import Scale
from mlssm.uncertainty.shape import GaussianShape, Shape, TableShape, restored_shape
from mlssm.uncertainty.support import Support

LEAST_DATES = 5
# from so many on, quantiles of residuals stand for a Gaussian; judgement: between 30 and 60 nothing was measured
MANY_DATES = 60
SEED = 0


@dataclass(frozen=True)
class Calibration:
    """How labels lie around a model's predictions.

    Attributes:
        scale: Deviation of each pixel and day.
        shape: Distribution of what lies off by it.
        conservative: Wide enough whatever that distribution is.
        support: What is left of it in a mean over pixels.
        dates: Held-out dates that it was fitted on, K.
        seasons: Their seasons.
        source: Whose predictions of which dates they were, in words.
    """

    scale: Scale
    shape: Shape
    conservative: Conservative
    support: Support
    dates: int
    seasons: tuple[int, ...]
    source: str

    @classmethod
    def fit(cls, maps: Sequence[HeldOutMap], seasons: Sequence[int], source: str) -> Calibration:
        """Fit on held-out dates.

        Args:
            maps: Extents on these dates.
            seasons: The dates' seasons.
            source: Whose predictions they are, in words.

        Raises:
            ValueError: Fewer than `LEAST_DATES` dates have a label, or all are predicted without any error.
        """
        sample = Sample.of(maps, SEED)
        if sample.dates < LEAST_DATES:
            raise ValueError(f"{sample.dates} held-out dates have labels, a calibration needs {LEAST_DATES}")
        scale = Scale.fit(sample)
        spread = sample.spread
        z = sample.residual / scale.deviation(sample.mean, sample.span, sample.leverage, spread)
        many = sample.dates >= MANY_DATES
        shape: Shape = TableShape.fit(z, sample.mean, sample.weights) if many else GaussianShape()
        conservative = Conservative.fit(z, sample.weights, sample.dates)
        support = Support.fit([[_scaled(each, scale) for each in extents] for extents in by_date(maps)])
        return cls(scale, shape, conservative, support, sample.dates, tuple(sorted(set(seasons))), source)

    def deviation(self, each: HeldOutMap) -> Floats:
        """Deviation of a map's pixels, SSM units [h, w]."""
        return self.scale.deviation(each.mean, each.span, each.leverage, each.spread)

    def interval(self, mean: Floats, deviation: Floats, level: float) -> tuple[Floats, Floats]:
        """Lower and upper end of the central interval, SSM 0..1, of the shape of both.

        Args:
            mean: Predicted SSM, 0..1.
            deviation: Of `Scale.deviation`.
            level: Share of labels that it is to hold, above 0 and below 1.
        """
        return self.quantile(mean, deviation, (1 - level) / 2), self.quantile(mean, deviation, (1 + level) / 2)

    def quantile(self, mean: Floats, deviation: Floats, level: float) -> Floats:
        """The SSM that a share `level` of labels does not pass, 0..1; arguments as in `interval`."""
        return np.clip(mean + deviation * self.shape.quantile(level, mean), 0, 1)

    def conservative_interval(self, mean: Floats, deviation: Floats, level: float) -> tuple[Floats, Floats]:
        """The same that holds its level over dates whatever the shape of the residuals; 0..1 whole with too few."""
        half = self.conservative.half_width(level) * deviation
        return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)

    def exceedance(self, mean: Floats, deviation: Floats, threshold: float) -> Floats:
        """P(SSM > threshold), 0..1; `threshold` above 0 and below 1."""
        return 1 - self.shape.rank((threshold - mean) / deviation, mean)

    def standard_error(self, mean: Floats, deviation: Floats) -> Floats:
        """Standard deviation of SSM within 0..1, SSM units."""
        return self.shape.deviation(mean, deviation)

    def ranks(self, mean: Floats, deviation: Floats, label: Floats, uniform: Floats) -> Floats:
        """Probability integral transform of labels: uniform over 0..1 where the calibration is right.

        A label of exactly 0 or 1 stands for all that was clipped, and draws its rank from that (Czado, Gneiting & Held
        2009, Biometrics 65).

        Args:
            mean: Predicted SSM, 0..1.
            deviation: Of `Scale.deviation`.
            label: 0..1.
            uniform: Random numbers in 0..1, one a label.
        """
        rank = self.shape.rank((label - mean) / deviation, mean)
        clipped = np.where(label <= 0, uniform * rank, rank + uniform * (1 - rank))
        return np.where((label <= 0) | (label >= 1), clipped, rank)

    def mean_interval(
        self, mean: Floats, deviation: Floats, pixels: Floats | float, level: float
    ) -> tuple[Floats, Floats]:
        """Lower and upper end for the mean over a polygon, SSM 0..1.

        Args:
            mean: Mean of the predicted SSM of its pixels.
            deviation: Mean of their deviations.
            pixels: How many they are.
            level: Share of means that it is to hold.
        """
        half = float(ndtri((1 + level) / 2)) * self.mean_deviation(deviation, pixels)
        return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)

    def conservative_mean_interval(
        self, mean: Floats, deviation: Floats, pixels: Floats | float, level: float
    ) -> tuple[Floats, Floats]:
        """The same as wide as the conservative interval of pixels is beside theirs, and never narrower; as above."""
        widest = max(self.conservative.half_width(level), float(ndtri((1 + level) / 2)))
        half = widest * self.mean_deviation(deviation, pixels)
        return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)

    def mean_deviation(self, deviation: Floats, pixels: Floats | float) -> Floats:
        """Deviation of the mean over a polygon: the mean of its pixels' deviations, and how many pixels there are."""
        return np.asarray(deviation * np.sqrt(self.support.of(pixels)))

    def mean_exceedance(self, mean: Floats, deviation: Floats, pixels: Floats | float, threshold: float) -> Floats:
        """P(mean over a polygon > threshold); arguments as in `mean_interval`."""
        return np.asarray(ndtr((mean - threshold) / self.mean_deviation(deviation, pixels)))

    def state(self) -> dict[str, Any]:
        """Arrays, numbers, strings, and dictionaries and lists of these: what a bundle keeps."""
        return {
            "scale": self.scale.state(),
            "shape": self.shape.state(),
            "conservative": self.conservative.state(),
            "support": self.support.state(),
            "dates": self.dates,
            "seasons": list(self.seasons),
            "source": self.source,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Calibration:
        """From its state.

        Raises:
            KeyError, TypeError, ValueError: It is not whole.
        """
        return cls(
            Scale.restored(state["scale"]),
            restored_shape(state["shape"]),
            Conservative.restored(state["conservative"]),
            Support.restored(state["support"]),
            int(state["dates"]),
            tuple(int(season) for season in state["seasons"]),
            str(state["source"]),
        )


def by_date(maps: Sequence[HeldOutMap]) -> list[list[HeldOutMap]]:
    """The extents of each date together, in the order of time."""
    times = sorted({each.time for each in maps})
    return [[each for each in maps if each.time == time] for time in times]


def _scaled(each: HeldOutMap, scale: Scale) -> Floats:
    deviation = scale.deviation(each.mean, each.span, each.leverage, each.spread)
    return np.where(each.known, (each.label - each.mean) / deviation, np.nan)
