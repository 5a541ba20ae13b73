"""Layover and shadow, from elevation and incidence angle, for images whose producer has not masked them.

Sentinel-1 looks to the right of its flight. Its ascending passes, in the evening, fly about 12 degrees west of north
and look to 78 degrees; the descending ones, in the morning, fly to 192 and look to 282.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

LOOKS_TO = {False: 78.0, True: 282.0}
"""Azimuth of the ground range by whether the pass is in the morning, degrees clockwise from north."""


def layover_or_shadow(elevation: Floats, incidence: Floats, pixel_m: float, azimuth: float) -> npt.NDArray[np.bool_]:
    """Slopes that the radar sees from above its own direction, or not at all.

    A slope that rises away from the radar by more than the incidence angle lies over what is before it; one that falls
    away from it by more than 90 degrees less the incidence angle lies in its own shadow (Kropatsch & Strobl 1990, IEEE
    TGRS 28). What such slopes cover beside themselves is not found.

    Args:
        elevation: Metres, [height, width], rows from north to south.
        incidence: On the ellipsoid, degrees, the same shape; NaN where unknown: not masked.
        pixel_m: Pixel size, metres.
        azimuth: Of the ground range away from the radar, degrees clockwise from north.
    """
    if min(elevation.shape) < 2:
        return np.zeros(elevation.shape, bool)
    down_rows, along_cols = np.gradient(elevation.astype(float), pixel_m)
    angle = np.radians(azimuth)
    rise = np.degrees(np.arctan(along_cols * np.sin(angle) - down_rows * np.cos(angle)))
    return np.asarray((rise >= incidence) | (-rise >= 90 - incidence))
