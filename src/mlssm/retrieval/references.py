"""Dry and wet references and the slope with the incidence angle, fitted per pixel on training dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from mlssm.retrieval.shift import PILED_UP, THINNED_OUT, neighbours, quantile_shift

Floats = npt.NDArray[np.floating[Any]]
REFERENCE_ANGLE = 40.0


@dataclass(frozen=True)
class Quantile:
    """A quantile along time, and how far speckle moves it.

    Attributes:
        value: dB, [height, width]; NaN where too few dates have a value.
        variance: Of the value, from the samples' speckle, dB^2, [height, width].
        shift: How far speckle moves it on average, dB, [height, width]; NaN where the value is.
    """

    value: Floats
    variance: Floats
    shift: Floats

    @classmethod
    def stacked(cls, bands: Sequence[Quantile]) -> Quantile:
        """Put bands of rows below one another."""
        parts = [(band.value, band.variance, band.shift) for band in bands]
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def fit_quantile(
    backscatter: Floats, percent: float, min_dates: int, speckle_variance: float, extrapolation: float
) -> Quantile:
    """Quantile along the first axis, see `mlssm.retrieval.shift.quantile`, and what speckle does to it.

    Its variance from speckle is the smaller of two: that of the two order statistics it is made of (few dates, or
    little speckle); and, where speckle reaches over many samples, that of the quantile of a noisy sample about fixed
    true values, sum p (1 - p) / (sum phi / s)^2 with p = Phi((q - x) / s) and phi the normal density (the variance of
    an empirical distribution function of independent, not identical samples over the squared density).

    Args:
        backscatter: dB, [time, height, width], NaN where missing.
        percent: 0..100.
        min_dates: Fewer values than this give NaN.
        speckle_variance: Of one sample, dB^2.
        extrapolation: Of the shift, see `quantile_shift`.
    """
    ordered = np.sort(backscatter.astype(float), axis=0)  # NaN goes to the end
    count = np.isfinite(backscatter).sum(axis=0)
    lower, upper, weight = neighbours(count, percent)
    low, high = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (lower, upper))
    value = np.where(count >= min_dates, low * (1 - weight) + high * weight, np.nan)
    of_two = speckle_variance * ((1 - weight) ** 2 + weight**2)
    variance = np.minimum(of_two, _variance_of_many(ordered, value, speckle_variance))
    return Quantile(value, variance, quantile_shift(backscatter, value, percent, speckle_variance, extrapolation))


def _variance_of_many(values: Floats, quantile: Floats, speckle_variance: float) -> Floats:
    deviation = np.sqrt(speckle_variance)
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (quantile - values) / deviation
        below = ndtr(distance)
        density = np.nansum(np.exp(-(distance**2) / 2), axis=0) / (np.sqrt(2 * np.pi) * deviation)
        variance: Floats = np.nansum(below * (1 - below), axis=0) / density**2
    return np.where(density > 0, variance, np.inf)


@dataclass(frozen=True)
class References:
    """What change detection needs to know of each pixel.

    Attributes:
        dry: Backscatter at SSM 0.
        wet: Backscatter at SSM 1.
        mean: Mean backscatter of the dates that the references were fitted on, dB, [height, width].
    """

    dry: Quantile
    wet: Quantile
    mean: Floats

    @classmethod
    def stacked(cls, bands: Sequence[References]) -> References:
        """Put bands of rows below one another."""
        dry, wet = Quantile.stacked([band.dry for band in bands]), Quantile.stacked([band.wet for band in bands])
        return cls(dry, wet, np.concatenate([band.mean for band in bands]))

    @property
    def sensitivity(self) -> Floats:
        """Wet - dry, dB, [height, width]."""
        return self.wet.value - self.dry.value

    def usable(self, min_sensitivity_db: float, water_below_db: float) -> npt.NDArray[np.bool_]:
        """Pixels that respond to moisture and are not water, [height, width]; one that never changes does not."""
        responds = (self.sensitivity >= min_sensitivity_db) & (self.sensitivity > 0)
        return responds & (self.mean > water_below_db)


def fit_references(
    backscatter: Floats, dry_percentile: float, wet_percentile: float, min_dates: int, speckle_variance: float
) -> References:
    """Fit dry and wet references on training dates.

    Args:
        backscatter: dB, [training date, height, width], NaN where missing.
        dry_percentile: Of the backscatter, 0..50.
        wet_percentile: Of the backscatter, 50..100.
        min_dates: Pixels with fewer dates get NaN.
        speckle_variance: Of one sample, dB^2, see `mlssm.retrieval.noise`.
    """
    # soil dries down to a floor, where days pile up; very wet days are few and spread out
    dry = fit_quantile(backscatter, dry_percentile, min_dates, speckle_variance, PILED_UP)
    wet = fit_quantile(backscatter, wet_percentile, min_dates, speckle_variance, THINNED_OUT)
    count = np.isfinite(backscatter).sum(axis=0)
    total = np.nansum(backscatter, axis=0, dtype=float)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return References(dry, wet, mean)


def fit_angle_slope(backscatter: Floats, angle: Floats, min_dates: int) -> Floats:
    """Least-squares slope of backscatter on incidence angle of each pixel.

    Args:
        backscatter: dB, [training date, height, width], NaN where missing.
        angle: Degrees, the same shape, NaN where unknown.
        min_dates: Pixels with fewer dates get NaN.

    Returns:
        dB per degree, [height, width]; NaN where the angle does not vary. A physical one is negative.
    """
    valid = np.isfinite(backscatter) & np.isfinite(angle)
    count = valid.sum(axis=0)
    divisor = np.maximum(count, 1)
    angle_off = np.where(valid, angle - np.where(valid, angle, 0).sum(axis=0, dtype=float) / divisor, 0)
    sigma_off = np.where(valid, backscatter - np.where(valid, backscatter, 0).sum(axis=0, dtype=float) / divisor, 0)
    spread = (angle_off**2).sum(axis=0)
    # below 0.1 degree of standard deviation the slope would be noise
    known = (count >= min_dates) & (spread > count * 0.1**2)
    slope = np.full(spread.shape, np.nan)
    np.divide((angle_off * sigma_off).sum(axis=0), spread, out=slope, where=known)
    return slope


def normalise_angle(backscatter: Floats, angle: Floats, slope: Floats) -> Floats:
    """sigma40 = sigma - slope (theta - 40 degrees); dB, shapes as in `fit_angle_slope`."""
    return backscatter - slope * (angle - REFERENCE_ANGLE)
