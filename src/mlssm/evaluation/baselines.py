"""Baselines that a network has to beat: the pixel's mean, and the antecedent precipitation index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from mlssm.evaluation import AnyFloats
from mlssm.grid import Floats

MEMORY_DAYS = 3.0
AREA_SHARE = 0.7
# Below this sum of squared deviations of log(1 + index) a pixel saw but one wetness, and has no slope of its own.
LEAST_SPREAD = 1e-9


def antecedent_precipitation_index(rain: AnyFloats, memory_days: float = MEMORY_DAYS) -> Floats:
    """The antecedent precipitation index: index[d] = rain[d] + exp(-1 / memory_days) * index[d - 1].

    Source: Kohler & Linsley 1951, Predicting the runoff from storm rainfall, US Weather Bureau Research Paper 34.

    Args:
        rain: Rain of consecutive days [D], mm; NaN = missing, counted as no rain.
        memory_days: Days in which the index decays to 1/e; greater than 0.

    Returns:
        The index at the end of each day [D], mm, >= 0.

    Raises:
        ValueError: Rain is not one row of values >= 0, or the memory is not greater than 0.
    """
    daily = np.nan_to_num(np.asarray(rain, dtype=float), nan=0.0, posinf=-1.0)
    if daily.ndim != 1 or (daily < 0).any() or not memory_days > 0:
        raise ValueError("rain must be one row of finite values >= 0 mm, and memory_days greater than 0")
    decay = math.exp(-1 / memory_days)
    return np.array(list(accumulate(daily, lambda index, today: today + decay * index)), dtype=float)


@dataclass(frozen=True)
class PixelMean:
    """Each pixel is predicted as its training mean, whatever the weather.

    Attributes:
        mean: Training mean [h, w], SSM 0..1.
    """

    mean: Floats

    @classmethod
    def fit(cls, ssm: AnyFloats, fallback: float) -> PixelMean:
        """Average the training labels of one area.

        Args:
            ssm: Labels [T, h, w], SSM 0..1; NaN = masked or not a training sample.
            fallback: Mean of all areas' training labels, SSM 0..1. A pixel without labels gets its area's mean, and
                an area without any gets this.

        Raises:
            ValueError: The labels are not [T, h, w].
        """
        return cls(_Moments.of(ssm, np.zeros(len(ssm))).mean(fallback))

    def predict(self) -> Floats:
        """SSM [h, w], 0..1, the same for every date."""
        return self.mean


@dataclass(frozen=True)
class AntecedentPrecipitation:
    """Each pixel is its training mean plus a slope times the anomaly of log(1 + antecedent precipitation index).

    The slope is 0.7 of the area's mean slope and 0.3 of the pixel's own least-squares slope: speckle makes a single
    pixel's slope noisy, and the share of the area steadies it. The index follows Kohler & Linsley 1951; see
    `antecedent_precipitation_index`.

    Attributes:
        mean: Training mean [h, w], SSM 0..1.
        wetness: Training mean of log(1 + index) at each pixel's valid dates [h, w].
        slope: SSM per unit of log(1 + index) [h, w].
    """

    mean: Floats
    wetness: Floats
    slope: Floats

    @classmethod
    def fit(cls, ssm: AnyFloats, api: AnyFloats, fallback: float) -> AntecedentPrecipitation:
        """Fit means and slopes on the training labels of one area.

        Args:
            ssm: Labels [T, h, w], SSM 0..1; NaN = masked or not a training sample.
            api: Antecedent precipitation index on each date's local day [T], mm.
            fallback: Mean of all areas' training labels, SSM 0..1, for an area without any. A pixel without labels
                gets its area's means, and one that saw a single wetness its area's slope.

        Raises:
            ValueError: The labels are not [T, h, w], or the index is not [T], finite and >= 0.
        """
        wetness = _wetness(api)
        moments = _Moments.of(ssm, wetness)
        centre = float(wetness.mean()) if wetness.size else 0.0
        return cls(moments.mean(fallback), moments.mean_wetness(centre), moments.slope())

    def predict(self, api: float) -> Floats:
        """SSM [h, w], 0..1, on a day with this antecedent precipitation index (mm).

        Raises:
            ValueError: The index is negative or not finite.
        """
        anomaly = _wetness(np.array([api]))[0] - self.wetness
        ssm: Floats = np.clip(self.mean + self.slope * anomaly, 0.0, 1.0)
        return ssm


@dataclass(frozen=True)
class _Moments:
    """Sums over each pixel's valid dates, all [h, w]: n of them, of wetness x, of label y, and of their products."""

    n: Floats
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def of(cls, ssm: AnyFloats, wetness: Floats) -> _Moments:
        if ssm.ndim != 3 or wetness.shape != ssm.shape[:1]:
            raise ValueError(f"labels must be [T, h, w] with one index a date, not {ssm.shape} and {wetness.shape}")
        sums = np.zeros((5, *ssm.shape[1:]))
        # One date at a time, so that a large area needs five maps of memory and not copies of its whole stack.
        for labels, x in zip(ssm, wetness, strict=True):
            valid = np.isfinite(labels)
            y = np.where(valid, labels, 0.0)
            for total, term in zip(sums, (valid, valid * x, y, valid * x**2, x * y), strict=True):
                total += term
        return cls(*sums)

    def mean(self, fallback: float) -> Floats:
        return _mean(self.y, self.n, fallback)

    def mean_wetness(self, fallback: float) -> Floats:
        return _mean(self.x, self.n, fallback)

    def slope(self) -> Floats:
        n = np.maximum(self.n, 1)
        spread = self.xx - self.x**2 / n
        known = spread > LEAST_SPREAD
        own = np.divide(self.xy - self.x * self.y / n, spread, out=np.zeros_like(spread), where=known)
        area = float(own[known].mean()) if known.any() else 0.0
        slope: Floats = AREA_SHARE * area + (1 - AREA_SHARE) * np.where(known, own, area)
        return slope


def _mean(total: Floats, n: Floats, fallback: float) -> Floats:
    area = total.sum() / n.sum() if n.any() else fallback
    mean: Floats = np.divide(total, n, out=np.full(n.shape, area, dtype=float), where=n > 0)
    return mean


def _wetness(api: AnyFloats) -> Floats:
    index = np.asarray(api, dtype=np.float64)
    if not (np.isfinite(index).all() and (index >= 0).all()):
        raise ValueError("the antecedent precipitation index must be finite and >= 0 mm")
    return np.log1p(index)
