"""The drivers of a weather record, at the pixels of a field's extents."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.errors import RunError
from mlssm.grid import Floats
from mlssm.response.bank import Bank
from mlssm.response.driver import Driver, Forcing, bank, index_driver, shaped
from mlssm.response.rows import Maps, Times
from mlssm.response.station_weights import StationWeights
from mlssm.retrieval.bands import bands
from mlssm.weather.field import WeatherField
from mlssm.weather.interpolation import inverse_distance_weights
from mlssm.weather.stations import VARIABLES, Days

CACHED = 2**18  # values of all drivers of a band, 8 bytes each
TEMPORARIES = 8  # arrays of a pixel's stations while they are weighed


@dataclass(frozen=True)
class DriverRows:
    """A driver at an extent's pixels, made some rows at a time.

    Attributes:
        driver: At the stations.
        positions: Of all times in the record [T].
        weights: Of the stations at the pixels.
        width: Pixels of a row.
    """

    driver: Driver
    positions: npt.NDArray[np.int64]
    weights: StationWeights
    width: int

    def rows(self, times: Times, rows: slice) -> Floats:
        """At some times [time, rows, w]."""
        weights = self.weights.at(rows.start * self.width, rows.stop * self.width)
        chosen = self.positions[times]
        return self.driver.at(chosen, weights).reshape(len(chosen), -1, self.width)


class Drivers:
    """The drivers of a weather record, at the pixels of a field's extents.

    Attributes:
        field: The weather at pixels.
        forcing: Rain and demand at its stations.
        fixed: What drives where the training dates are few.
    """

    def __init__(self, field: WeatherField) -> None:
        """Close the record's gaps."""
        self.field = field
        self.forcing = Forcing.of(field.weather, field.station_xy, field.config.neighbours, field.config.power)
        self.fixed = index_driver(self.forcing)
        self._weights_of: dict[int, StationWeights] = {}
        self._many: list[Driver] = []

    def on(self, field: WeatherField) -> Drivers:
        """The same drivers at the pixels of another field of the same record."""
        found = copy(self)
        found.field, found._weights_of = field, {}  # the bank is shared
        return found

    @property
    def many(self) -> list[Driver]:
        """The bank, made once for this record."""
        if not self._many:
            self._many[:] = bank(self.forcing)
        return self._many

    @property
    def stations(self) -> list[str]:
        """Names of the stations with rain, the nearest to the extents' middle first."""
        places = self.field.places
        middle = np.mean([[place.x.mean(), place.y.mean()] for place in places], axis=0)
        rain = self.field.weather.values[:, :, VARIABLES.index("precipitation")]
        near = np.argsort(np.linalg.norm(self.field.station_xy - middle, axis=1), kind="stable")
        return [self.field.weather.ids[i] for i in near if np.isfinite(rain[:, i]).any()]

    def at(self, driver: Driver, extent: int, ends: Days) -> Floats:
        """A driver at an extent's pixels on days [T, h, w]; see `Driver.at`."""
        positions, shape = self.forcing.positions(ends), self.field.places[extent].shape
        return driver.at(positions, self._weights(extent).everywhere).reshape(len(positions), *shape)

    def maps(self, driver: Driver, extent: int, ends: Days) -> DriverRows:
        """The same, made some rows at a time."""
        return DriverRows(driver, self._checked(ends), self._weights(extent), self.field.places[extent].shape[1])

    def maps_of_station(self, station: str | None, extent: int, ends: Days) -> Maps:
        """As `of_station`, made some rows at a time where it is interpolated."""
        return self.maps(self.fixed, extent, ends) if station is None else self.of_station(station, extent, ends)

    def of_station(self, station: str | None, extent: int, ends: Days) -> Floats:
        """The fixed driver by the rain of one station [T, 1, 1], or of the interpolated [T, h, w].

        Raises:
            RunError: The record has no such station.
        """
        if station is None:
            return self.at(self.fixed, extent, ends)
        ids = self.field.weather.ids
        if station not in ids:
            raise RunError(
                f"the response is driven by the rain of station {station}, and the weather has {', '.join(ids)}; add "
                "its file, or train anew"
            )
        weights = (np.arange(len(ids)) == ids.index(station)).astype(float)[None]
        return self.fixed.at(self.forcing.positions(ends), weights)[:, :, None]

    def driving(self, weighed: Bank | None, station: str | None, extent: int, ends: Days) -> Floats:
        """What drives an extent on days [T, h, w] or broadcastable to it: its bank, or the fixed driver of a station.

        Raises:
            RunError: The bank names a driver, or the record lacks a station, that cannot be made.
        """
        if weighed is None:
            return self.of_station(station, extent, ends)
        return np.stack([self._weighed(weighed, extent, position) for position in self._checked(ends)])

    def _checked(self, ends: Days) -> npt.NDArray[np.int64]:
        """Positions of days.

        Raises:
            ValueError: One lies behind the record.
        """
        positions = self.forcing.positions(ends)
        if len(positions) and positions.max() >= len(self.forcing.days):
            raise ValueError(f"day {positions.max()} lies behind a record of {len(self.forcing.days)} days")
        return positions

    def _weighed(self, weighed: Bank, extent: int, position: np.int64) -> Floats:
        """The driver of a bank on a day [h, w], in bands whose values of all drivers stay in the processor's cache."""
        used = self._named(weighed.names)
        stored = np.stack([each.stored[position] if position >= 0 else 0 * each.stored[0] for each in used], axis=1)
        weights, (height, width) = self._weights(extent), self.field.places[extent].shape
        found, step = np.empty((height, width)), max(CACHED // (len(used) * width), 1)
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            water = np.ascontiguousarray((weights.at(rows.start * width, rows.stop * width) @ stored).T)
            for driver, values in zip(used, water, strict=True):
                values[:] = shaped(values, driver.shape)
            found[rows] = weighed.driver(water.reshape(len(used), -1, width), rows)
        return found

    def _named(self, names: Sequence[str]) -> list[Driver]:
        """Drivers of the bank.

        Raises:
            RunError: One is not there.
        """
        known = {each.name: each for each in self.many}
        if missing := [name for name in names if name not in known]:
            raise RunError(
                f"the response is driven by {', '.join(missing)}, which cannot be made of these stations' record: a "
                "bucket needs evapotranspiration, or the temperatures that it is calculated from"
            )
        return [known[name] for name in names]

    def _weights(self, extent: int) -> StationWeights:
        """How the stations weigh at an extent's pixels."""
        if extent not in self._weights_of:
            self._weights_of[extent] = self._weigh(extent)
        return self._weights_of[extent]

    def _weigh(self, extent: int) -> StationWeights:
        place, config, stations = self.field.places[extent], self.field.config, self.field.station_xy

        def of_rows(rows: slice) -> Floats:
            pixels = np.column_stack([axis.ravel() for axis in np.meshgrid(place.x, place.y[rows])])
            return inverse_distance_weights(stations, pixels, config.neighbours, config.power)

        (height, width), count = place.shape, len(stations)
        parts = map(of_rows, bands((height, width), TEMPORARIES * count))
        return StationWeights.of(parts, height * width, min(config.neighbours, count), count)
