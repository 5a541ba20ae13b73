"""What is told of the slopes of backscatter with the incidence angle."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError
from mlssm.retrieval.labels import ExtentRetrieval

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]
PIXELS = 100_000  # of an extent that are told of


def tell_slopes(extents: Sequence[ExtentRetrieval]) -> None:
    """Log the slopes with the incidence angle that were fitted, and how sure they are, over some pixels of an extent.

    Raises:
        DataError: One was asked for, and no pixel of any extent tells it.
    """
    sloped = [(number, *parts) for number, each in enumerate(extents, 1) if (parts := _some_slopes(each)) is not None]
    if sloped and not any(slope.size for _, slope, _ in sloped):
        raise DataError(
            "retrieval.incidence_slope=true, but no pixel is seen under two angles on training dates; set it false"
        )
    for number, slope, error in sloped:
        if not slope.size:
            log.warning("extent %d: no pixel is seen under two angles: without a slope it has no labels", number)
            continue
        low, middle, high = np.quantile(slope, [0.05, 0.5, 0.95])
        text = "extent %d: sigma changes by %.3f dB a degree of incidence (median; 5 %% below %.3f, 5 %% above %.3f)"
        log.info(f"{text}, standard error of a pixel's slope %.3f dB", *(number, middle, low, high, np.median(error)))
        if middle > 0:
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
