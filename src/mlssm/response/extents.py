"""The extents of a cube as the closed form sees them: labels refitted on any training dates, and drivers at pixels.

Labels are made band by band, and are files where they are large; what a season or a date needs is held as a whole.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mlssm.config import RetrievalConfig
from mlssm.cube import Cube
from mlssm.errors import RunError
from mlssm.grid import Floats
from mlssm.response.bank import MANY_DATES, Bank, DriverMaps, drive, weighs_bank
from mlssm.response.base import Booleans, Seasons
from mlssm.response.driver import Driver, Forcing, bank, index_driver, shaped
from mlssm.response.fitted import Extent
from mlssm.response.folds import Retrieve, Retrieved
from mlssm.response.stations import choose_station
from mlssm.retrieval.bands import bands
from mlssm.retrieval.fit import fit_extents, reference_keys
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.stack import Stack, load_stack, row_bands
from mlssm.scratch import scratch
from mlssm.weather.field import WeatherField
from mlssm.weather.interpolation import inverse_distance_weights
from mlssm.weather.stations import VARIABLES, Days
from mlssm.workers import Workers

log = logging.getLogger(__name__)

WHOLE = slice(None)
LEAST_DATES = 2  # of references


@dataclass(frozen=True)
class Backscatter:
    """All that labels are made from, for any training dates.

    Attributes:
        cube: For orbits and angles.
        stack: The multilooked backscatter.
        cross: The same in the other polarisation; None where there is none.
        masks: Frozen and snowy pixels.
        config: The retrieval's.
        pixels: Of each extent, those whose labels may be known [h, w]: where space is split too. None: all.
        speckle: Of the cube's pixels; None: found for each fit that asks for it.
        workers: Where bands of rows are fitted; None: here, one after the other.
    """

    cube: Cube
    stack: Stack
    cross: Stack | None
    masks: DateMasks
    config: RetrievalConfig
    pixels: tuple[Booleans, ...] | None = None
    speckle: Speckle | None = None
    workers: Workers | None = None

    @classmethod
    def of(
        cls,
        cube: Cube,
        stack: Stack,
        masks: DateMasks,
        config: RetrievalConfig,
        pixels: tuple[Booleans, ...] | None = None,
        speckle: Speckle | None = None,
        workers: Workers | None = None,
    ) -> Backscatter:
        """Find the other polarisation, if the cube has one."""
        others = [each for each in cube.manifest.polarisations if each != config.polarisation]
        cross = load_stack(cube, config.of_polarisation(others[0])) if others else None
        return cls(cube, stack, cross, masks, config, pixels, speckle, workers)

    def retrievals(self) -> tuple[Retrieve, ...]:
        """Each extent's labels as a function of the training dates; those of the same dates are made once."""
        found: dict[bytes, tuple[Retrieved, ...]] = {}

        def of(number: int) -> Retrieve:
            def retrieve(training: Booleans) -> Retrieved:
                key = np.packbits(training).tobytes()
                if key not in found:
                    config = self._least_dates(training)
                    fitted = fit_extents(
                        self.cube, self.stack, config, training, self.masks, self.speckle, self.workers
                    )
                    found[key] = tuple(self._retrieved(*each, training) for each in enumerate(fitted))
                return found[key][number]

            return retrieve

        return tuple(of(number) for number in range(len(self.stack.extents)))

    def _least_dates(self, training: Booleans) -> RetrievalConfig:
        """Where seasons are held out, references may be of fewer dates than those that ship: they only choose."""
        keys = reference_keys(self.cube, self.config)
        fewest = int(np.unique(keys[training], return_counts=True)[1].min(initial=LEAST_DATES))
        least = min(self.config.min_dates, max(fewest, LEAST_DATES))
        return self.config.model_copy(update={"min_dates": least})

    def _retrieved(self, number: int, extent: ExtentRetrieval, training: Booleans) -> Retrieved:
        shape = self.stack.working.extents[number].shape
        relative = scratch((len(training), *shape), np.float32)
        maps = [scratch(shape, np.float64) for _ in range(3 if self.cross is None else 4)]
        for rows in bands(shape, len(training)):
            relative[:, rows], *of_rows = self._of_rows(number, extent, training, rows)
            for found, values in zip(maps, of_rows, strict=True):
                found[rows] = values
        return Retrieved(relative, *maps)

    def _of_rows(
        self, number: int, extent: ExtentRetrieval, training: Booleans, rows: slice
    ) -> list[npt.NDArray[np.floating]]:
        """What `Retrieved` has of some rows: relative, span, level, spread, and where there is a cross ratio that."""
        times, orbits = np.arange(len(training)), self.cube.orbits
        sigma = self.stack.extents[number].backscatter(times, rows, WHOLE)
        if self.masks.any_of(number, times):
            sigma[self.masks.of(number, times, rows, WHOLE)] = np.nan
        relative, sensitivity = extent.relative(sigma, orbits, rows, WHOLE)
        if self.pixels is not None:
            relative[:, ~self.pixels[number][rows]] = np.nan
        for orbit in np.unique(orbits):
            sigma[orbits == orbit] = extent.normalised(sigma[orbits == orbit], int(orbit), rows, WHOLE)
        known = np.where(np.isfinite(relative), sigma, np.nan)[training].astype(float)
        keys = np.array([extent.key(int(orbit)) for orbit in orbits[training]])
        span = _mean(np.where(np.isfinite(relative), sensitivity, np.nan)[training].astype(float))
        found: list[npt.NDArray[np.floating]] = [relative, span, *_level_and_spread(known, keys)]
        if self.cross is not None:
            crossed = self.cross.extents[number].backscatter(np.flatnonzero(training), rows, WHOLE)
            found.append(_mean(crossed - known))
        return found


def _mean(values: Floats) -> Floats:
    """Mean of the known values over dates [h, w]; NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def _level_and_spread(sigma: Floats, keys: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Mean of the dates, and standard deviation around the means of those that share references, dB [h, w]."""
    around = sigma.copy()
    for key in np.unique(keys):
        around[keys == key] -= _mean(sigma[keys == key])
    return _mean(sigma), np.sqrt(_mean(around**2))


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
        self._weights_of: dict[int, Floats] = {}
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
        return driver.at(positions, self._weights(extent)).reshape(len(positions), *shape)

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
        return np.stack([weighed.driver(self._bank_on(weighed, extent, position)) for position in self._checked(ends)])

    def _checked(self, ends: Days) -> npt.NDArray[np.int64]:
        """Positions of days.

        Raises:
            ValueError: One lies behind the record.
        """
        positions = self.forcing.positions(ends)
        if len(positions) and positions.max() >= len(self.forcing.days):
            raise ValueError(f"day {positions.max()} lies behind a record of {len(self.forcing.days)} days")
        return positions

    def _bank_on(self, weighed: Bank, extent: int, position: np.int64) -> dict[str, DriverMaps]:
        """The bank's drivers on a day [h, w], by name: the water of all is interpolated at once."""
        used, shape = [each for each in self.many if each.name in weighed.names], self.field.places[extent].shape
        stored = np.array([each.stored[position] if position >= 0 else 0 * each.stored[0] for each in used])
        water = np.ascontiguousarray((self._weights(extent) @ stored.T).T)
        return {
            each.name: partial(shaped, values.reshape(shape), each.shape)
            for each, values in zip(used, water, strict=True)
        }

    def _weights(self, extent: int) -> Floats:
        """How the stations weigh at an extent's pixels [P, S], sparse; rows sum to 1."""
        if extent not in self._weights_of:
            self._weights_of[extent] = self._weigh(extent)
        return self._weights_of[extent]

    def _weigh(self, extent: int) -> Floats:
        place, config = self.field.places[extent], self.field.config
        bands = []
        for rows in row_bands(place.shape[0]):
            pixels = np.column_stack([axis.ravel() for axis in np.meshgrid(place.x, place.y[rows])])
            dense = inverse_distance_weights(self.field.station_xy, pixels, config.neighbours, config.power)
            bands.append(sparse.csr_array(dense))
        return cast("Floats", sparse.vstack(bands, format="csr"))


def closed_form_extents(
    source: Backscatter,
    drivers: Drivers,
    training: Booleans,
    seasons: Seasons,
    many: Sequence[Driver] = (),
    ends: Days | None = None,
) -> list[Extent]:
    """The extents of a cube, to fit a closed form on: the driver fixed with few training dates, a bank with many.

    Args:
        source: Labels.
        drivers: What may drive them.
        training: Which times are training dates [T].
        seasons: Of each time [T].
        many: The bank; by default all that there are.
        ends: Last day of the antecedent window of each time [T]; by default as acquired, see `Cube.window_ends`.

    Raises:
        SplitError: A bank is weighed, and the training dates are of fewer than two seasons.
    """
    ends = source.cube.window_ends if ends is None else ends
    # what lies behind the record has no driver, and is neither trained on nor scored
    ends = np.minimum(ends, drivers.forcing.days[-1])
    dates, retrievals = int(training.sum()), source.retrievals()
    many = many or (drivers.many if weighs_bank(dates) else ())
    if not weighs_bank(dates):
        which = "the extent" if len(retrievals) == 1 else f"all {len(retrievals)} extents"
        log.info("%d training dates are fewer than %d: the driver of %s is fixed", dates, MANY_DATES, which)
    station = None if many or not training.any() else _station(retrievals, drivers, training, seasons, ends)
    extents = []
    for number, retrieve in enumerate(retrievals):
        maps = {each.name: partial(drivers.at, each, number, ends) for each in many}
        fixed = drivers.of_station(station, number, ends)
        driven = replace(drive(retrieve, fixed, maps, training, seasons), station=station)
        extents.append(Extent(retrieve, driven, source.stack.working.grid.pixel))
    return extents


def _station(
    retrievals: Sequence[Retrieve], drivers: Drivers, training: Booleans, seasons: Seasons, ends: Days
) -> str | None:
    def drivers_of(station: str | None) -> list[Floats]:
        return [drivers.of_station(station, number, ends) for number in range(len(retrievals))]

    return choose_station(retrievals, drivers_of, drivers.stations, training, seasons)
