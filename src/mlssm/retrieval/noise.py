"""Speckle: the noise of a backscatter sample in dB, and the number of looks that a stack of images shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import digamma, gammainc, polygamma

from mlssm.errors import DataError

DB_PER_NEPER = 10 / np.log(10)
Floats = npt.NDArray[np.floating[Any]]


def speckle_variance_db(looks: Floats | float) -> Floats:
    """Variance of 10 log10 of an intensity of `looks` looks, dB^2.

    The intensity is gamma-distributed, so that its logarithm has the variance psi_1(L), the trigamma function
    (Ulaby & Long 2014, Microwave Radar and Radiometric Remote Sensing, section 5-8).
    """
    return np.asarray(DB_PER_NEPER**2 * polygamma(1, looks))


def looks_of_variance_db(variance: float) -> float:
    """The number of looks whose speckle has this variance in dB^2: the inverse of `speckle_variance_db`."""
    target = variance / DB_PER_NEPER**2
    log_looks = brentq(lambda value: float(polygamma(1, np.exp(value))) - target, np.log(1e-2), np.log(1e8))
    return float(np.exp(log_looks))


def speckle_cdf_db(value: Floats, looks: float) -> Floats:
    """Probability that speckle of `looks` looks adds less than `value` dB; its mean is 0 dB."""
    return np.asarray(gammainc(looks, np.exp(value / DB_PER_NEPER + digamma(looks))))


@dataclass(frozen=True)
class Speckle:
    """The speckle of single pixels.

    Attributes:
        looks: Equivalent number of looks of a pixel.
        correlation: Correlation with the pixels beside, above and diagonal, after the product's resampling (0..1).
    """

    looks: float
    correlation: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def sample_looks(self, pixels: int, count: npt.NDArray[Any] | int) -> Floats:
        """Equivalent number of looks of a multilooked sample of pixels that are equally bright.

        Args:
            pixels: Pixels along the multilook window.
            count: How many of the window's pixels have a value.
        """
        return np.asarray(self.looks * np.maximum(count, 1) / self.redundancy(pixels))

    def redundancy(self, pixels: int) -> float:
        """How many correlated pixels of a window tell as much as one: the sum of their correlations.

        Args:
            pixels: Pixels along the window.
        """
        beside, above, diagonal = self.correlation
        pairs = 2 * (1 - 1 / pixels)
        return 1 + pairs * (beside + above) + pairs**2 * diagonal


def estimate_speckle(backscatter: Floats) -> Speckle:
    """Looks and correlation of single pixels, from how pixels differ between consecutive dates.

    The log-ratio of two dates takes the scene's texture away, and the difference of log-ratios of pixels close by takes
    a common change of moisture away. What is left is the noise of four samples, whose variance is
    4 psi_1(L) (10 / ln 10)^2 (1 - correlation at that distance). Pixels three apart are taken as independent. The
    median absolute deviation keeps single changed pixels out. Changes of moisture within three pixels count as noise,
    so that the looks are a lower bound.

    Args:
        backscatter: dB, [time, height, width] in the order of time, NaN where missing; at least 2 dates.

    Raises:
        DataError: Fewer than 1000 pairs of pixels, too few to tell, or no noise at all.
    """
    ratio = np.diff(backscatter.astype(float), axis=0)
    apart = (_half_variogram(ratio, 0, 3) + _half_variogram(ratio, 3, 0)) / 2
    if apart == 0:
        raise DataError("the images have no noise to estimate looks from; set datamodule.backscatter.looks")
    steps = ((0, 1), (1, 0), (1, 1))
    beside, above, diagonal = (float(np.clip(1 - _half_variogram(ratio, *step) / apart, 0, 1)) for step in steps)
    return Speckle(looks_of_variance_db(apart / 2), (beside, above, diagonal))


def _half_variogram(ratio: Floats, rows: int, cols: int) -> float:
    height, width = ratio.shape[1:]
    difference = ratio[:, rows:, cols:] - ratio[:, : height - rows, : width - cols]
    difference = difference[np.isfinite(difference)]
    if difference.size < 1000:
        raise DataError(
            f"{difference.size} pairs of pixels are too few to estimate looks; set datamodule.backscatter.looks"
        )
    return float(1.4826 * np.median(np.abs(difference - np.median(difference)))) ** 2 / 2
