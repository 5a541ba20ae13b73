"""A peer of the closed form: backscatter is forecast, and then retrieved."""

from __future__ import annotations

import numpy as np

from mlssm.response.base import SEASON_CORRELATION, Population, Response, Seasons, fit_pixels
from mlssm.response.fitted import Fitted


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
    decibels = fitted.found.of(training) * span
    fits = fit_pixels(decibels, fitted.driver[training], seasons[training], SEASON_CORRELATION)
    found = fits.pooled(own_share, Population.of([fits]))
    known = np.where(span > 0, span, np.nan)
    return Response(found.mean / known, found.slope / known, found.centre)
