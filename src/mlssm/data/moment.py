"""What is known of a date before its image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.weather.stations import Floats

PrefitMaps = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Moment:
    """What the weather and the calendar say of one date, and what was fitted to other dates' labels.

    Attributes:
        window: Station values of the antecedent window, [T, station, variable], NaN where missing.
        day: The local day; of NDVI and other dated layers, the latest image before it counts.
        maps: Of each extent, the maps of `mlssm.data.prefit` by name, [height, width]; empty without a prefit.
    """

    window: Floats
    day: np.datetime64
    maps: tuple[PrefitMaps, ...] = ()
