"""The extents of a cube as the closed form sees them: labels refitted on any training dates, and drivers at pixels.

Both are made when they are asked for, band by band: maps of all dates would grow with their number.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.cube import Cube
from mlssm.grid import Floats
from mlssm.response.bank import MANY_DATES, weighs_bank
from mlssm.response.base import Booleans, Seasons
from mlssm.response.driver import Driver
from mlssm.response.driver_maps import Drivers
from mlssm.response.fitted import Extent
from mlssm.response.folds import Retrieve, Retrieved
from mlssm.response.rows import WHOLE, Maps, Times, few_rows, fill, positions
from mlssm.response.stations import choose_station
from mlssm.response.weighing import drive
from mlssm.retrieval.fit import fit_extents, reference_keys
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.stack import Stack, load_stack
from mlssm.scratch import scratch
from mlssm.weather.stations import Days
from mlssm.workers import Workers

log = logging.getLogger(__name__)

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
        maps = scratch((3 if self.cross is None else 4, *shape), np.float64)
        fill(maps, lambda rows: self._of_rows(number, extent, training, rows), few_rows(shape, int(training.sum())))
        return Retrieved(RelativeRows(self, number, extent), *maps)

    def _of_rows(self, number: int, extent: ExtentRetrieval, training: Booleans, rows: slice) -> list[Floats]:
        """Maps of `Retrieved` of some rows: span, level, spread, and where there is a cross ratio that."""
        times = np.flatnonzero(training)
        orbits, sigma = self.cube.orbits[times], self.sigma(number, times, rows)
        relative, sensitivity = self.relative(number, extent, times, rows)
        for orbit in np.unique(orbits):
            sigma[orbits == orbit] = extent.normalised(sigma[orbits == orbit], int(orbit), rows, WHOLE)
        labelled = np.isfinite(relative)
        known = np.where(labelled, sigma, np.nan).astype(float)
        keys = np.array([extent.key(int(orbit)) for orbit in orbits])
        span = _mean(np.where(labelled, sensitivity, np.nan).astype(float))
        found: list[Floats] = [span, *_level_and_spread(known, keys)]
        if self.cross is not None:
            found.append(_mean(self.cross.extents[number].backscatter(times, rows, WHOLE) - known))
        return found

    def sigma(self, number: int, times: npt.NDArray[np.int64], rows: slice) -> npt.NDArray[np.float32]:
        """Backscatter of some rows, dB [time, rows, w]; NaN where frozen or snowy too."""
        sigma = self.stack.extents[number].backscatter(times, rows, WHOLE)
        if self.masks.any_of(number, times):
            sigma[self.masks.of(number, times, rows, WHOLE)] = np.nan
        return sigma

    def relative(
        self, number: int, extent: ExtentRetrieval, times: npt.NDArray[np.int64], rows: slice
    ) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
        """Of some rows, between an extent's references, not clipped [time, rows, w]; and wet - dry, dB."""
        found, sensitivity = extent.relative(self.sigma(number, times, rows), self.cube.orbits[times], rows, WHOLE)
        if self.pixels is not None:
            found[:, ~self.pixels[number][rows]] = np.nan
        return found, sensitivity


@dataclass(frozen=True)
class RelativeRows:
    """Backscatter between an extent's references at all times, made some rows at a time.

    Attributes:
        source: The backscatter.
        number: Of the extent.
        extent: Its references.
    """

    source: Backscatter
    number: int
    extent: ExtentRetrieval

    def rows(self, times: Times, rows: slice) -> npt.NDArray[np.floating]:
        """At some times [time, rows, w]."""
        chosen = positions(times, len(self.source.cube.orbits))
        return self.source.relative(self.number, self.extent, chosen, rows)[0]


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
        maps = {each.name: partial(drivers.maps, each, number, ends) for each in many}
        fixed = drivers.maps_of_station(station, number, ends)
        driven = replace(drive(retrieve, fixed, maps, training, seasons), station=station)
        extents.append(Extent(retrieve, driven, source.stack.working.grid.pixel))
    return extents


def _station(
    retrievals: Sequence[Retrieve], drivers: Drivers, training: Booleans, seasons: Seasons, ends: Days
) -> str | None:
    def drivers_of(station: str | None) -> list[Maps]:
        return [drivers.maps_of_station(station, number, ends) for number in range(len(retrievals))]

    return choose_station(retrievals, drivers_of, drivers.stations, training, seasons)
