"""Dry and wet references and the slope with the incidence angle, fitted per pixel on training dates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.retrieval.bands import bands
from mlssm.scratch import scratch

Floats = npt.NDArray[np.floating[Any]]
REFERENCE_ANGLE = 40.0


@dataclass(frozen=True)
class References:
    """What change detection needs to know of each pixel.

    Attributes:
        dry: Backscatter at SSM 0, dB, [height, width]; NaN where too few dates have a value.
        wet: Backscatter at SSM 1, likewise.
        mean: Mean backscatter of the dates that the references were fitted on, dB, [height, width].
    """

    dry: Floats
    wet: Floats
    mean: Floats

    @property
    def sensitivity(self) -> Floats:
        """Wet - dry, dB, [height, width]."""
        return self.wet - self.dry


def fit_references(backscatter: Floats, dry_percentile: float, wet_percentile: float, min_dates: int) -> References:
    """Fit dry and wet references on training dates.

    Percentiles are interpolated linearly (Hyndman & Fan 1996, type 7), as `numpy.nanpercentile` does.

    Args:
        backscatter: dB, [training date, height, width], NaN where missing.
        dry_percentile: Of the backscatter, 0..50.
        wet_percentile: Of the backscatter, 50..100.
        min_dates: Pixels with fewer dates get NaN.
    """
    shape = backscatter.shape[1:]
    # a pixel's dates beside each other: sorted as float32 that takes a third of the time, and picks the same values
    ordered = np.array(backscatter.reshape(len(backscatter), -1).T, order="C")
    ordered.sort(axis=1)  # NaN goes to the end
    count = np.isfinite(ordered).sum(axis=1)
    total = np.nansum(ordered, axis=1, dtype=float)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    enough = count >= min_dates
    percents = dry_percentile, wet_percentile
    dry, wet = (np.where(enough, _quantile(ordered, count, percent), np.nan) for percent in percents)
    return References(*(each.reshape(shape) for each in (dry, wet, mean)))


def mean_of_dates(backscatter: Floats) -> Floats:
    """Mean over the dates, dB, [height, width]; NaN where no date has a value."""
    count = np.isfinite(backscatter).sum(axis=0)
    total = np.nansum(backscatter, axis=0, dtype=float)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def _quantile(ordered: Floats, count: npt.NDArray[np.int_], percent: float) -> Floats:
    """Of each pixel, whose dates are sorted [pixel, date]; [pixel]."""
    last = np.maximum(count - 1, 0)
    position = percent / 100 * last
    lower = np.floor(position).astype(np.int64)
    upper, weight = np.minimum(lower + 1, last), position - lower
    low, high = (np.take_along_axis(ordered, index[:, None], axis=1)[:, 0].astype(float) for index in (lower, upper))
    return np.asarray(low * (1 - weight) + high * weight)


@dataclass(frozen=True)
class AngleSlope:
    """Slope of backscatter with the incidence angle.

    Attributes:
        value: dB per degree, [height, width]; NaN where unknown. A physical one is negative.
        error: Its standard error, the same.
    """

    value: Floats
    error: Floats

    def pooled(self) -> AngleSlope:
        """Each pixel's slope drawn towards the extent's, the more so the less sure it is of its own.

        Empirical Bayes: the slopes of an extent are normal around its mean with a variance that is theirs less that of
        their errors (DerSimonian & Laird 1986, doi:10.1016/0197-2456(86)90046-2). A pixel without a slope of its own
        has the extent's. Nothing changes where no pixel has one.
        """
        parts = bands((len(self.value), self.value.shape[1]))

        def total(of: Callable[[Floats, Floats], Floats]) -> float:
            """Over the pixels whose slope is known, by their slopes and the precisions of these."""
            return math.fsum(float(of(value, error**-2.0).sum()) for _, value, error in map(self._known, parts))

        weights = total(lambda _, precision: precision)
        if not weights:
            return self
        mean = total(lambda value, precision: precision * value) / weights
        scale = weights - total(lambda _, precision: precision**2) / weights
        count = total(lambda value, _: np.ones(value.shape))
        excess = total(lambda value, precision: precision * (value - mean) ** 2) - (count - 1)
        between = max(excess / scale, 0.0) if scale > 0 else 0.0
        weights = total(lambda _, precision: 1 / (1 / precision + between))
        mean = total(lambda value, precision: value / (1 / precision + between)) / weights
        return self._drawn(mean, between, parts)

    def _known(self, rows: slice) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
        """Which pixels of some rows have a slope and its error; these."""
        value, error = self.value[rows], self.error[rows]
        known = np.isfinite(value) & np.isfinite(error) & (error > 0)
        return known, value[known].astype(float), error[known].astype(float)

    def _drawn(self, mean: float, between: float, parts: Sequence[slice]) -> AngleSlope:
        """Slopes drawn to a mean around which they have a variance; in float32, which is far below their errors."""
        pooled = AngleSlope(*(scratch(self.value.shape, np.float32) for _ in range(2)))
        for rows in parts:
            known, value, error = self._known(rows)
            own = between / (error**2 + between)
            of_value, of_error = pooled.value[rows], pooled.error[rows]
            of_value[...], of_error[...] = mean, np.sqrt(between)
            of_value[known], of_error[known] = own * value + (1 - own) * mean, np.sqrt(own) * error
        return pooled


def fit_angle_slope(backscatter: Floats, angle: Floats, min_dates: int) -> AngleSlope:
    """Least-squares slope of backscatter on incidence angle of each pixel, with its standard error.

    Args:
        backscatter: dB, [training date, height, width], NaN where missing.
        angle: Degrees, the same shape, NaN where unknown.
        min_dates: Pixels with fewer dates get NaN.

    Returns:
        NaN where the angle does not vary; the error, of dates as independent samples, also where there are two dates.
    """
    valid = np.isfinite(backscatter) & np.isfinite(angle)
    count = valid.sum(axis=0)
    divisor = np.maximum(count, 1)
    angle_off = np.where(valid, angle - np.where(valid, angle, 0).sum(axis=0, dtype=float) / divisor, 0)
    sigma_off = np.where(valid, backscatter - np.where(valid, backscatter, 0).sum(axis=0, dtype=float) / divisor, 0)
    spread = (angle_off**2).sum(axis=0)
    # below 0.1 degree of standard deviation the slope would be noise
    known = (count >= min_dates) & (spread > count * 0.1**2)
    slope, error = np.full((2, *spread.shape), np.nan)
    np.divide((angle_off * sigma_off).sum(axis=0), spread, out=slope, where=known)
    left = ((sigma_off - np.where(known, slope, 0) * angle_off) ** 2).sum(axis=0)
    np.divide(left, (count - 2) * spread, out=error, where=known & (count > 2))
    return AngleSlope(slope, np.sqrt(error))


def normalise_angle(backscatter: Floats, angle: Floats, slope: Floats) -> Floats:
    """sigma40 = sigma - slope (theta - 40 degrees); dB, shapes as in `fit_angle_slope`."""
    return backscatter - slope * (angle - REFERENCE_ANGLE)
