"""The closed form below a network, on the days and in the area that are mapped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.cube import Cube
from mlssm.data.assemble import Experiment
from mlssm.data.moment import PrefitMaps
from mlssm.data.prefit import LEVERAGE, memory_maps, prefit_maps
from mlssm.errors import RunError
from mlssm.patches.dates import seasons
from mlssm.response.extents import Drivers
from mlssm.response.forecaster import ExtentForecaster, Forecaster, corner, forecast, same_place
from mlssm.response.nowcast import Carried, Earlier, Moment
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import Stack
from mlssm.retrieval.working_grid import WorkingGrid

log = logging.getLogger(__name__)
Day = np.datetime64
EVERYTHING = slice(None)


def fitted_state(experiment: Experiment) -> dict[str, Any]:
    """What a bundle keeps beside weights: pixels with labels, references, and the closed form.

    `labelled` has for each extent its `corner`, its `pixels`: whether one can carry a label, [height, width], and their
    `span`, see `span_map`. `retrieval` has each extent's references, `forecaster` is the closed form's state, or None,
    and `nowcast` tells whether earlier images are asked.
    """
    working, prefit = experiment.stack.working, experiment.prefit
    pairs = zip(working.extents, experiment.retrieval.extents, strict=True)
    labelled = [
        {"corner": corner(working.grid, window), "pixels": extent.labelled, "span": span_map(extent)}
        for window, extent in pairs
    ]
    return {
        "labelled": labelled,
        "forecaster": None if prefit is None else prefit.forecaster.state(),
        "retrieval": [extent.state() for extent in experiment.retrieval.extents],
        "nowcast": prefit is not None and prefit.nowcast,
    }


def labelled_pixels(state: Mapping[str, Any] | None, working: WorkingGrid) -> list[npt.NDArray[np.bool_]] | None:
    """Which pixels of each extent carried labels in training: none elsewhere; None where the bundle does not know."""
    if state is None:
        return None
    known = [_known_extent(state, working, number) for number in range(len(working.extents))]
    return [
        np.zeros(window.shape, bool) if extent is None else extent["pixels"]
        for window, extent in zip(working.extents, known, strict=True)
    ]


def known_spans(state: Mapping[str, Any], working: WorkingGrid) -> list[npt.NDArray[np.float32]]:
    """Span of each extent's pixels, dB [height, width]; NaN where the model was not trained, or a bundle keeps none."""
    known = [_known_extent(state, working, number) or {} for number in range(len(working.extents))]
    shapes = [window.shape for window in working.extents]
    nothing = [np.full(shape, np.nan, np.float32) for shape in shapes]
    return [extent.get("span", instead) for extent, instead in zip(known, nothing, strict=True)]


def span_map(extent: ExtentRetrieval) -> npt.NDArray[np.float32]:
    """Wet - dry of pixels that can carry a label, dB, mean over the orbits' references [height, width]; else NaN."""
    spans = np.stack(
        [np.where(extent.usable[key], each.sensitivity, np.nan) for key, each in extent.references.items()]
    )
    known = np.isfinite(spans)
    count, total = known.sum(axis=0), np.where(known, spans, 0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0), np.float32)


def _known_extent(state: Mapping[str, Any], working: WorkingGrid, number: int) -> Mapping[str, Any] | None:
    """What the state keeps of an extent's pixels, if the model was trained there."""
    window = working.extents[number]
    here = corner(working.grid, window)
    known = (each for each in state["labelled"] if same_place(each["corner"], here))
    return next((each for each in known if each["pixels"].shape == window.shape), None)


@dataclass(frozen=True)
class Images:
    """Images of the area that is mapped.

    Attributes:
        cube: Their days and orbits.
        stack: Their multilooked backscatter.
        masks: Frozen and snowy pixels.
        ends: Last day of the antecedent window of each [time].
    """

    cube: Cube
    stack: Stack
    masks: DateMasks
    ends: npt.NDArray[np.datetime64]


class DayMaps:
    """Makes the maps of `mlssm.data.prefit` for any day.

    Attributes:
        extents: The closed form of each extent that is mapped.
        start_month: That seasons begin with.
    """

    def __init__(self, state: Mapping[str, Any], images: Images, drivers: Drivers) -> None:
        """Find the extents that the response was fitted on; others are given that of the mean extent, which is logged.

        Args:
            state: Of `fitted_state`.
            images: Of the area.
            drivers: Of the area's weather.

        Raises:
            RunError: The state is not whole.
        """
        try:
            forecaster = Forecaster.restored(state["forecaster"])
            retrieval = [ExtentRetrieval.restored(extent) for extent in state["retrieval"] or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"the bundle's response is not whole ({error!r}); copy the bundle again") from None
        working = images.stack.working
        self.extents = forecaster.on(working.grid, working.extents)
        self.start_month, self._phi = forecaster.start_month, forecaster.phi
        self._images, self._drivers = images, drivers
        own = [
            next((i for i, extent in enumerate(forecaster.extents) if extent is found), None) for found in self.extents
        ]
        self._retrieval = [retrieval[i] if retrieval and i is not None else None for i in own]
        # earlier bundles keep references for a nowcast alone
        self._nowcast = bool(state.get("nowcast", retrieval))
        self._memory = [memory_maps(extent.memory) for extent in self.extents]
        if others := sum(extent.is_population for extent in self.extents):
            log.warning(
                "%d of %d extents are not those that the model was trained on: none of their pixels is known, and the "
                "mean extent's response is used",
                *(others, len(self.extents)),
            )

    @property
    def nowcast(self) -> bool:
        """Whether earlier images are asked."""
        return self._nowcast

    @property
    def last_day(self) -> Day:
        """Last day that the weather's record reaches."""
        return np.datetime64(self._drivers.forcing.days[-1], "D")

    def on(self, day: Day, end: Day) -> tuple[PrefitMaps, ...]:
        """The maps of each extent.

        Args:
            day: That is mapped.
            end: Last day of its window of weather, at most `last_day`.
        """
        return tuple(self._of(number, extent, day, end) for number, extent in enumerate(self.extents))

    def _of(self, number: int, extent: ExtentForecaster, day: Day, end: Day) -> PrefitMaps:
        found, driver = forecast(extent, self._drivers, number, end)
        carried = self._carried(number, Moment(day, self._season(day), driver)) if self._nowcast else None
        maps = prefit_maps(found, self._memory[number], carried, self._phi)
        if extent.leverage is None:
            return maps
        leverage = extent.leverage.at(np.asarray(driver)).astype(np.float32)
        return {**maps, LEVERAGE: np.broadcast_to(leverage, found.shape)}

    def _season(self, day: Day) -> int:
        return int(seasons(np.array([day], "datetime64[D]"), self.start_month)[0])

    def _carried(self, number: int, to: Moment) -> Carried:
        earlier = self._earlier(number, to.season)
        if earlier is None:
            shape = self.extents[number].memory.shape[1:]
            return Carried(np.zeros(shape), np.zeros(shape), np.full(shape, np.inf))
        return earlier.carry(to)

    @cache  # noqa: B019 - lives as long as the maps of a command
    def _earlier(self, number: int, season: int) -> Earlier | None:
        """An extent's images of a season; None where there is none, or no reference to read it by."""
        cube, retrieval, extent = self._images.cube, self._retrieval[number], self.extents[number]
        times = np.flatnonzero(seasons(cube.local_days, self.start_month) == season)
        times = times[self._images.ends[times] <= self.last_day]
        if retrieval is None or not times.size:
            return None
        pairs = [forecast(extent, self._drivers, number, end) for end in self._images.ends[times]]
        forecasts, drivers = (np.stack(part) for part in zip(*pairs, strict=True))
        labels = self._labels(number, retrieval, times)
        moments = [Moment(cube.local_days[time], season, driver) for time, driver in zip(times, drivers, strict=True)]
        return Earlier.of(labels, forecasts, moments, extent.scale)

    def _labels(self, number: int, retrieval: ExtentRetrieval, times: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        images = self._images
        sigma = images.stack.extents[number].backscatter(times, EVERYTHING, EVERYTHING)
        if images.masks.any_of(number, times):
            sigma[images.masks.of(number, times, EVERYTHING, EVERYTHING)] = np.nan
        return retrieval.retrieve(sigma, images.cube.orbits[times], EVERYTHING, EVERYTHING)[0].astype(float)
