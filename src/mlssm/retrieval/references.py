"""Dry and wet references and the slope with the incidence angle, fitted per pixel on training dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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

    @classmethod
    def stacked(cls, bands: Sequence[References]) -> References:
        """Put bands of rows below one another."""
        parts = [(band.dry, band.wet, band.mean) for band in bands]
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    @property
    def sensitivity(self) -> Floats:
        """Wet - dry, dB, [height, width]."""
        return self.wet - self.dry

    def usable(self, min_sensitivity_db: float, water_below_db: float) -> npt.NDArray[np.bool_]:
        """Pixels that respond to moisture and are not water, [height, width]; one that never changes does not."""
        responds = (self.sensitivity >= min_sensitivity_db) & (self.sensitivity > 0)
        return responds & (self.mean > water_below_db)


def fit_references(backscatter: Floats, dry_percentile: float, wet_percentile: float, min_dates: int) -> References:
    """Fit dry and wet references on training dates.

    Percentiles are interpolated linearly (Hyndman & Fan 1996, type 7), as `numpy.nanpercentile` does.

    Args:
        backscatter: dB, [training date, height, width], NaN where missing.
        dry_percentile: Of the backscatter, 0..50.
        wet_percentile: Of the backscatter, 50..100.
        min_dates: Pixels with fewer dates get NaN.
    """
    ordered = np.sort(backscatter.astype(float), axis=0)  # NaN goes to the end
    count = np.isfinite(ordered).sum(axis=0)
    dry, wet = (_quantile(ordered, count, percent) for percent in (dry_percentile, wet_percentile))
    mean = np.divide(np.nansum(ordered, axis=0), count, out=np.full(count.shape, np.nan), where=count > 0)
    enough = count >= min_dates
    return References(np.where(enough, dry, np.nan), np.where(enough, wet, np.nan), mean)


def _quantile(ordered: Floats, count: npt.NDArray[np.int_], percent: float) -> Floats:
    last = np.maximum(count - 1, 0)
    position = percent / 100 * last
    lower = np.floor(position).astype(np.int64)
    upper, weight = np.minimum(lower + 1, last), position - lower
    low, high = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (lower, upper))
    return np.asarray(low * (1 - weight) + high * weight)


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
