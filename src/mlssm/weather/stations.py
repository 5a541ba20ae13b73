"""Daily weather at its stations; it is never stored as rasters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.variables import of_kind

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

VARIABLES = tuple(item.name for item in of_kind("daily"))


@dataclass(frozen=True)
class StationWeather:
    """The daily record of all stations on one axis of days.

    Attributes:
        days: Consecutive local calendar days, datetime64[D] [D].
        ids: The stations' names [S].
        longitude: Degrees east, WGS 84 [S].
        latitude: Degrees north, WGS 84 [S].
        elevation_m: Metres above sea level, NaN where unknown [S].
        values: The variables in the order of `VARIABLES` and the units of `mlssm.variables`, NaN = missing [D, S, V].
            Wind is as measured, at an airport 10 m above ground.
    """

    days: Days
    ids: tuple[str, ...]
    longitude: Floats
    latitude: Floats
    elevation_m: Floats
    values: Floats

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other.

        Raises:
            ValueError: A shape differs from the others, or the days are not consecutive.
        """
        shape = (len(self.days), len(self.ids), len(VARIABLES))
        if self.values.shape != shape:
            raise ValueError(f"weather values have shape {self.values.shape}; days, stations and variables are {shape}")
        for name in ("longitude", "latitude", "elevation_m"):
            if getattr(self, name).shape != shape[1:2]:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}; there are {shape[1]} stations")
        if (np.diff(self.days.astype("datetime64[D]")) != np.timedelta64(1, "D")).any():
            raise ValueError("the days of a weather record are consecutive; fill gaps with NaN")

    @property
    def variables(self) -> tuple[str, ...]:
        """The names along the last axis of `values`."""
        return VARIABLES
