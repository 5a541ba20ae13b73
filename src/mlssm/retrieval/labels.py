"""Labels: SSM of a pixel and date by change detection, with its standard error.

SSM = clip((sigma - dry) / (wet - dry), 0, 1) after Wagner, Lemoine & Rott 1999 (Remote Sens. Environ. 70, eq. 4).
Fitted on training dates, applied on the fly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from mlssm.retrieval.references import References, normalise_angle

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Labels:
    """Retrieved SSM.

    Attributes:
        ssm: 0..1, float32 [time, height, width]; NaN where masked.
        standard_error: Root mean square of the label less the one that there would be without speckle, in SSM units,
            float32, the same shape; NaN where masked.
    """

    ssm: npt.NDArray[np.float32]
    standard_error: npt.NDArray[np.float32]

    def without(self, masked: npt.NDArray[np.bool_]) -> Labels:
        """The labels with more of them masked."""
        return Labels(np.where(masked, np.nan, self.ssm), np.where(masked, np.nan, self.standard_error))


@dataclass(frozen=True)
class AreaRetrieval:
    """Change detection of one area, fitted.

    Attributes:
        references: By relative orbit; under 0 where all orbits share them.
        usable: Pixels that respond to moisture and are not water, by the same keys, [height, width].
        angle: Incidence angle in degrees by relative orbit, [height, width]; empty where no slope is fitted.
        slope: dB per degree, [height, width]; None where no slope is fitted.
        shared: Whether all orbits share the references.
    """

    references: Mapping[int, References]
    usable: Mapping[int, npt.NDArray[np.bool_]]
    angle: Mapping[int, Floats]
    slope: Floats | None
    shared: bool

    def label(
        self, backscatter: Floats, orbits: npt.NDArray[np.int64], variance: Floats, rows: slice, cols: slice
    ) -> Labels:
        """Retrieve SSM.

        Args:
            backscatter: dB, [time, rows, columns], NaN where missing.
            orbits: Relative orbit of each time.
            variance: Speckle variance of each sample, dB^2, the shape of `backscatter`.
            rows: Which rows of the area these are.
            cols: Which columns.
        """
        ssm, error = np.full((2, *backscatter.shape), np.nan, np.float32)
        for orbit in np.unique(orbits):
            times = orbits == orbit
            key = 0 if self.shared else int(orbit)
            if key not in self.references:
                continue  # an orbit that no training date has: it stays masked
            sigma = self.normalised(backscatter[times], int(orbit), rows, cols)
            found = retrieve(sigma, variance[times], self.references[key], (rows, cols))
            usable = self.usable[key][rows, cols] & np.isfinite(found.ssm)
            ssm[times] = np.where(usable, found.ssm, np.nan)
            error[times] = np.where(usable, found.standard_error, np.nan)
        return Labels(ssm, error)

    def normalised(self, backscatter: Floats, orbit: int, rows: slice, cols: slice) -> Floats:
        """Backscatter at 40 degrees where a slope is fitted, else as it is; dB."""
        if self.slope is None:
            return backscatter
        return normalise_angle(backscatter, self.angle[orbit][rows, cols], self.slope[rows, cols])


def retrieve(sigma: Floats, variance: Floats, references: References, place: tuple[slice, slice]) -> Labels:
    """SSM and its standard error of samples with known references.

    The error has four parts: the sample's own speckle, that of the dry and of the wet reference, weighted by how
    much the label leans on each: (v + (1 - ssm)^2 v_dry + ssm^2 v_wet) / (wet - dry)^2; and how far speckle shifts the
    references, weighted likewise. A label that is clipped to 0..1 cannot err beyond, which `clipped_variance` accounts
    for.

    Args:
        sigma: dB, [time, rows, columns].
        variance: Its speckle variance, dB^2, the same shape.
        references: Of the area.
        place: Rows and columns of the area.
    """
    dry, wet = references.dry.value[place], references.wet.value[place]
    with np.errstate(invalid="ignore", divide="ignore"):
        ssm = np.clip((sigma - dry) / (wet - dry), 0, 1)
        noise = variance + (1 - ssm) ** 2 * references.dry.variance[place] + ssm**2 * references.wet.variance[place]
        shift = (1 - ssm) * references.dry.shift[place] + ssm * references.wet.shift[place]
        error = np.sqrt(clipped_variance(ssm, noise / (wet - dry) ** 2) + (shift / (wet - dry)) ** 2)
    return Labels(ssm.astype(np.float32), error.astype(np.float32))


def clipped_variance(mean: Floats, variance: Floats) -> Floats:
    """Variance of a normal variable that is clipped to 0..1 (moments of the doubly censored normal).

    Args:
        mean: Of the variable before clipping.
        variance: Of the variable before clipping, >= 0.
    """
    deviation = np.sqrt(np.maximum(variance, 1e-12))
    low, high = -mean / deviation, (1 - mean) / deviation
    inside = ndtr(high) - ndtr(low)
    density_low, density_high = (np.exp(-(bound**2) / 2) / np.sqrt(2 * np.pi) for bound in (low, high))
    above = ndtr(-high)
    first = mean * inside + deviation * (density_low - density_high) + above
    second = (
        (mean**2 + deviation**2) * inside
        + 2 * mean * deviation * (density_low - density_high)
        + deviation**2 * (low * density_low - high * density_high)
        + above
    )
    return np.asarray(np.maximum(second - first**2, 0))
