"""What one sensor in the ground measured, whatever file it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Depth = tuple[float, float]
MOST = 1.0
"""m3/m3: no soil holds more water than its own volume."""


@dataclass(frozen=True)
class Sensor:
    """One sensor's record; what its flags refuse is NaN already.

    Attributes:
        station: Name of its station, with that of its network where there are several.
        name: Its own.
        longitude: Degrees east.
        latitude: Degrees north.
        depth: Upper and lower end, metres; the same of a sensor that lies level.
        times: UTC datetime64[s] of each value, or with `daily` local days, sorted [n].
        moisture: m3/m3 [n]; NaN where missing or refused.
        temperature: Of the soil, degC [n]; NaN where not known.
        daily: Whether values are of whole days.
        refused: How many values the flags refused.
    """

    station: str
    name: str
    longitude: float
    latitude: float
    depth: Depth
    times: npt.NDArray[np.datetime64]
    moisture: Floats
    temperature: Floats
    daily: bool
    refused: int

    @property
    def kind(self) -> Literal["days", "times"]:
        """What it has values of."""
        return "days" if self.daily else "times"


def is_within(depth: Depth, wanted: Depth) -> bool:
    """Whether a sensor lies between two depths, metres; a millimetre is rounding."""
    return depth[0] >= wanted[0] - 1e-3 and depth[1] <= wanted[1] + 1e-3
