"""Why a pixel has no label, as a bit field."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.uint16]


class Reason(IntFlag):
    """A bit each; those of a pixel hold for all dates of an orbit, those of a date for that image."""

    NOT_MEASURED = 1
    FEW_DATES = 2
    WATER = 4
    DOUBLE_BOUNCE = 8
    LAYOVER_SHADOW = 16
    LOW_SENSITIVITY = 32
    DENSE_FOREST = 64
    FROZEN = 128
    SNOW = 256
    WET_CANOPY = 512
    EDGE_NOISE = 1024


TITLES = {
    Reason.NOT_MEASURED: "not measured: outside the image, or masked by the product (layover, shadow)",
    Reason.FEW_DATES: "too few training dates for references",
    Reason.WATER: "water: a low mean",
    Reason.DOUBLE_BOUNCE: "persistent double bounce: a high mean (dense urban)",
    Reason.LAYOVER_SHADOW: "layover or shadow, from elevation and incidence angle",
    Reason.LOW_SENSITIVITY: "low sensitivity: wet and dry too close, for what speckle leaves",
    Reason.DENSE_FOREST: "dense forest: a high VH/VV",
    Reason.FROZEN: "frozen",
    Reason.SNOW: "snow",
    Reason.WET_CANOPY: "rain on the day of the image",
    Reason.EDGE_NOISE: "far below the dry reference: noise at a swath's edge, or a flood",
}
"""What each bit says, in the order of the bits."""


MEANINGS = tuple((reason.name or "").lower() for reason in TITLES)
"""The same in a word each, as CF's `flag_meanings` wants them."""


def mark(flags: Flags, where: npt.NDArray[np.bool_], reason: Reason) -> None:
    """Set a bit where a reason holds."""
    flags[where] |= np.uint16(reason)
