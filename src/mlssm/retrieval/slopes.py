"""What is told of the slopes of backscatter with the incidence angle."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError
from mlssm.retrieval.labels import ExtentRetrieval

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]
PIXELS = 100_000  # of an extent that are told of


@dataclass(frozen=True)
class SlopeSummary:
    """Slopes of an extent's pixels, dB per degree of incidence.

    Attributes:
        low: 5 % are below it.
        median: Half are.
        high: 5 % are above it.
        error: Median of a pixel's standard error.
    """

    low: float
    median: float
    high: float
    error: float

    @classmethod
    def of(cls, extent: ExtentRetrieval) -> SlopeSummary | None:
        """Over some of the pixels that have one; None where no pixel has."""
        slope, error = _some_slopes(extent) or (np.empty(0), np.empty(0))
        if not slope.size:
            return None
        low, middle, high = np.quantile(slope, [0.05, 0.5, 0.95]).tolist()
        return cls(low, middle, high, float(np.median(error)))

    def __str__(self) -> str:
        """As a page and the log say it."""
        return (
            f"sigma changes by {self.median:.3f} dB a degree of incidence (median; 5 % below {self.low:.3f}, 5 % above "
            f"{self.high:.3f}), standard error of a pixel's slope {self.error:.3f} dB"
        )


def tell_slopes(extents: Sequence[ExtentRetrieval]) -> None:
    """Log the slopes with the incidence angle that were fitted, and how sure they are, over some pixels of an extent.

    Raises:
        DataError: One was asked for, and no pixel of any extent tells it.
    """
    sloped = {number: SlopeSummary.of(each) for number, each in enumerate(extents, 1) if each.slope is not None}
    if sloped and not any(sloped.values()):
        raise DataError(
            "retrieval.incidence_slope=true, but no pixel is seen under two angles on training dates; set it false"
        )
    for number, slope in sloped.items():
        if slope is None:
            log.warning("extent %d: no pixel is seen under two angles: without a slope it has no labels", number)
            continue
        log.info("extent %d: %s", number, slope)
        if slope.median > 0:
            text = "extent %d: sigma rises with the angle, which tells of other days on other orbits, not of the angle"
            log.warning(f"{text}; use retrieval.per_orbit=true", number)


def _some_slopes(extent: ExtentRetrieval) -> tuple[Floats, Floats] | None:
    """Known slopes and their errors, dB per degree, [pixel]; None where none is fitted."""
    if extent.slope is None or extent.slope_error is None:
        return None
    step = max(1, math.isqrt(extent.slope.size // PIXELS))
    slope, error = (each[::step, ::step].astype(float) for each in (extent.slope, extent.slope_error))
    known = np.isfinite(slope) & np.isfinite(error)
    return slope[known], error[known]
