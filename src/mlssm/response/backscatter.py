"""A peer of the closed form: backscatter is forecast, and then retrieved."""

from __future__ import annotations

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import SEASON_CORRELATION, Population, Response, Seasons, fit_rows
from mlssm.response.fitted import Fitted
from mlssm.response.rows import few_rows


def backscatter_response(fitted: Fitted, own_share: float, seasons: Seasons) -> Response:
    """Fit each pixel's backscatter above its dry reference, dB, and read the forecast by its references.

    Slopes are pooled in dB, before they are divided by the distance between the references; nothing is clipped before
    the end. Where orbits have references of their own, that distance is their mean.

    Args:
        fitted: The extent.
        own_share: Of a pixel's own slope, 0..1.
        seasons: Of each time [T].
    """
    training, span = fitted.training, fitted.found.span

    def decibels(rows: slice) -> Floats:
        return fitted.found.of(training, rows) * span[rows]

    (fits,) = fit_rows(decibels, [fitted.driver], training, fitted.shape, seasons[training], SEASON_CORRELATION)
    found = fits.pooled(own_share, Population.of([fits]))
    for rows in few_rows(fitted.shape, 1):
        known = np.where(span[rows] > 0, span[rows], np.nan)
        found.mean[rows] /= known
        found.slope[rows] /= known
    return found
