"""A trained run, opened on the area that is to be mapped; nothing of the extent is read before a part is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from mlssm.bundle import Bundle
from mlssm.config import StateOfMaps
from mlssm.cube import Cube
from mlssm.data.assemble import window_ends
from mlssm.data.features import FeatureSource
from mlssm.data.layers import ExtentLayers, extent_places, known_classes, part_layers, part_place
from mlssm.data.moment import Moment
from mlssm.errors import ConfigError
from mlssm.grid import Window
from mlssm.inference.certainty import ExtentCertainty
from mlssm.inference.chains import Chain, first_day, plan_chains, steps
from mlssm.inference.day_maps import DayMaps, ExtentMeans, FittedForm, Images, Part
from mlssm.inference.mapper import (
    Booleans,
    Days,
    Mapper,
    choose_device,
    day_of,
    fitting_layers,
    missing_everywhere,
    weather_of,
    window_end,
)
from mlssm.inference.prefit import labelled_pixels
from mlssm.inference.restore import restore
from mlssm.inference.retrieved import known_retrievals
from mlssm.models.carried import carries, is_faster
from mlssm.response.driver_maps import Drivers
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks, frozen_or_snowy
from mlssm.retrieval.stack import Stack, load_stack
from mlssm.weather.bridging import bridge, bridged_days
from mlssm.weather.field import ExtentPixels, WeatherField
from mlssm.weather.stations import StationWeather
from mlssm.weather.weight_cache import WeightCache

# of the weights of a part's weather, bytes: 12 stations take some 30 MB a tile for each set of those that have values
KEPT_WEIGHTS = 192 * 2**20


@dataclass(frozen=True)
class Place:
    """Where a trained run and the extent that it maps are; a worker opens them from there.

    Attributes:
        run_id: The run.
        bundle: Its model's folder.
        cube: The area's.
        accelerator: That the network runs on.
        certain: Whether it is asked how sure maps are.
        state: `window`, each map from a window of its own; `carried` from day to day; None: carried where that
            is faster, see `mlssm.models.carried.is_faster`.
    """

    run_id: str
    bundle: Path
    cube: Path
    accelerator: str = "cpu"
    certain: bool = True
    state: StateOfMaps | None = "window"

    def opened(self) -> Opened:
        """Open them; a process does it once.

        Raises:
            ConfigError: There is no such accelerator, or the network carries no state and is asked to.
            RunError: The model is damaged, or does not fit the area.
            DataError: The area's files are missing or bad.
        """
        return _open(self)


@lru_cache(maxsize=1)
def _open(place: Place) -> Opened:
    restored, cube = restore(place.bundle), Cube.open(place.cube)
    stack = load_stack(cube, restored.bundle.images)
    network = restored.network.to(choose_device(place.accelerator)).eval()
    certainty = ExtentCertainty.restored(restored.fitted, stack.working) if place.certain else None
    found = Opened(place.run_id, restored.bundle, cube, stack, network, restored.fitted, certainty)
    return replace(found, carried=is_carried(place.state, restored.bundle, network))


def is_carried(state: StateOfMaps | None, bundle: Bundle, network: nn.Module) -> bool:
    """Whether maps go on from the state of the day before.

    Raises:
        ConfigError: They are to, and the network cannot.
    """
    able = carries(network) and bundle.window.steps > 1
    if state == "carried" and not able:
        raise ConfigError(
            f"state=carried: a {bundle.model.title} of {bundle.window.steps} steps goes on from no state "
            "(docs/maps.md names those that do); set state=window"
        )
    return able and (is_faster(network) if state is None else state == "carried")


@dataclass(frozen=True)
class Opened:
    """All that maps need, whatever the date and the part of the extent.

    Attributes:
        run_id: The run that the model comes from.
        bundle: What it says of itself.
        cube: The area to map.
        stack: Its multilooked backscatter.
        network: The trained network, on its device, in evaluation mode.
        fitted: What was fitted beside it, see `mlssm.inference.prefit`; None where the bundle keeps nothing.
        certainty: How sure its maps are; None where that is not asked.
        carried: Whether maps go on from the state of the day before; else each is made from a window of its own.
    """

    run_id: str
    bundle: Bundle
    cube: Cube
    stack: Stack
    network: nn.Module
    fitted: Any
    certainty: ExtentCertainty | None
    carried: bool = False

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Rows and columns of each extent on the working grid."""
        return [window.shape for window in self.stack.working.extents]

    @cached_property
    def features(self) -> FeatureSource:
        """The model's inputs at one pixel: all that does not depend on the pixel can be asked of it.

        Raises:
            RunError: The extent's channels are not the model's.
        """
        row, col = self.stack.working.extents[0].row, self.stack.working.extents[0].col
        return self._features(0, Window(row, col, 1, 1), None)

    @cached_property
    def form(self) -> FittedForm | None:
        """The closed form below the network; None without."""
        if self.fitted is None or self.fitted["forecaster"] is None:
            return None
        return FittedForm.restored(self.fitted, self.stack.working)

    @cached_property
    def labelled(self) -> list[Booleans] | None:
        """Pixels of each extent that carried labels in training, [height, width]; None where that is not known."""
        return labelled_pixels(self.fitted, self.stack.working)

    @cached_property
    def retrievals(self) -> Sequence[ExtentRetrieval | None]:
        """References of each extent; None for one that the model does not know, or with images of another channel."""
        found = known_retrievals(self.fitted, self.stack.working)
        same = dict(self.stack.channel) == dict(self.bundle.images.channel)
        return found if same else [None for _ in found]

    @cached_property
    def field(self) -> WeatherField:
        """The weather at all pixels; reads the elevation of the whole extent."""
        return self._field(extent_places(self.cube, self.stack.working))

    @cached_property
    def drivers(self) -> Drivers:
        """Of the closed form, at one pixel."""
        return Drivers(self.features.field)

    def moment(self, day: np.datetime64) -> Moment | None:
        """Weather of a day, without maps of the closed form; None where the day cannot be mapped."""
        moment = weather_of(self.bundle, self.features, day)
        if self.form is not None and window_end(self.bundle, day) > self.cube.weather.days[-1]:
            return None  # the closed form needs the rain of the very last day
        return moment

    def chains(self, days: Iterable[np.datetime64]) -> list[Chain]:
        """What a carried state runs through for the maps of some days."""
        return plan_chains([window_end(self.bundle, day) for day in days], self.bundle.window.lag, self._passing)

    def step_days(self, days: Days) -> Days:
        """Days whose closed form the maps of some days need: themselves, and all steps of a carried state, sorted."""
        if not self.carried:
            return np.unique(days)
        return np.array([day_of(self.bundle, end) for end in steps(self.chains(days))], "datetime64[D]")

    def first_day(self, day: np.datetime64) -> np.datetime64:
        """First day of the weather that the network has seen for the map of a day."""
        end, lag = window_end(self.bundle, day), self.bundle.window.lag
        return first_day(end, lag, self._passing) if self.carried else end - np.timedelta64(lag - 1, "D")

    @cached_property
    def _passing(self) -> Callable[[np.datetime64], bool]:
        return cache(self._passes)  # chains ask for each day many times

    def _passes(self, end: np.datetime64) -> bool:
        """Whether a day has what a step needs: weather, and images of what changes with the date."""
        known = self.cube.weather.days
        if not known[0] <= end <= known[-1]:
            return False
        (window,) = self.features.field.windows(np.array([end], "datetime64[D]"), 1, "sequence")
        moment = Moment(window, day_of(self.bundle, end))
        return not missing_everywhere(self.features.spec, moment, self.features.layers)

    def part(self, extent: int, window: Window, days: Days, means: ExtentMeans | None = None) -> Mapper:
        """The model on a window of one extent.

        Args:
            extent: Which.
            window: Counted from the extent's corner, on the working grid.
            days: That will be asked for.
            means: Over the whole extent, which the closed form needs.
        """
        rows, cols = window.slices
        placed, stack = self._placed(extent, window)
        features = self._features(extent, placed, days.min())
        prefit = self._form_on(features.field, extent, window, days, means)
        labelled = None if self.labelled is None else [self.labelled[extent][rows, cols]]
        certainty = None if self.certainty is None else self.certainty.part(extent, rows, cols)
        own = prefit, labelled, [self.retrievals[extent]], certainty
        return Mapper(self.run_id, self.bundle, self.cube, stack, features, self.network, *own)

    def form_of(self, extent: int, window: Window, days: Days, means: ExtentMeans | None) -> DayMaps | None:
        """The closed form alone, arguments as of `part`; None where there is none."""
        placed, _ = self._placed(extent, window)
        field = self._field((part_place(self.cube, self.stack.working, extent, placed),))
        return self._form_on(field, extent, window, days, means)

    @cached_property
    def window_ends(self) -> Days:
        """Last day of the antecedent window of each image [time]."""
        return window_ends(self.cube, self.bundle.window)

    def _placed(self, extent: int, window: Window) -> tuple[Window, Stack]:
        """A window on the working grid, and the images there."""
        whole, (rows, cols) = self.stack.working.extents[extent], window.slices
        placed = Window(whole.row + window.row, whole.col + window.col, *window.shape)
        working = replace(self.stack.working, extents=(placed,))
        return placed, replace(self.stack, working=working, extents=(self.stack.extents[extent].part(rows, cols),))

    def _form_on(
        self, field: WeatherField, extent: int, window: Window, days: Days, means: ExtentMeans | None
    ) -> DayMaps | None:
        if self.form is None:
            return None
        images = Images(self.cube, self._placed(extent, window)[1], self._masks(field, days), self.window_ends)
        part = Part(extent, *window.slices)
        return DayMaps(self.form, images, self.drivers.on(field), [part], None if means is None else [means])

    def _features(self, extent: int, placed: Window, since: np.datetime64 | None) -> FeatureSource:
        model, cube, working = self.bundle, self.cube, self.stack.working
        layers = part_layers(cube, working, extent, placed, model.features.static, self._classes, since)
        filled: tuple[ExtentLayers, ...] = fitting_layers(model.channels, (layers,), model.features)
        field = self._field((part_place(cube, working, extent, placed),))
        return FeatureSource(field, filled, model.channels, model.model.weather_ratio)

    @cached_property
    def _classes(self) -> dict[str, dict[int, str]]:
        return known_classes(self.cube, self.bundle.features.static)

    def _field(self, places: tuple[ExtentPixels, ...]) -> WeatherField:
        weights = WeightCache(KEPT_WEIGHTS, 0.5)
        return WeatherField(self.weather, self.cube.station_xy, places, self.bundle.weather, self.bridged, weights)

    @cached_property
    def weather(self) -> StationWeather:
        """The stations' record, short gaps closed as in training."""
        return bridge(self.cube.weather, self.bundle.weather.bridge_days)

    @cached_property
    def bridged(self) -> dict[str, Days]:
        """Days of the record that were drawn from those around, by quantity."""
        return bridged_days(self.cube.weather, self.weather)

    def _masks(self, field: WeatherField, days: Days) -> DateMasks:
        """Frozen and snowy pixels of the images that a nowcast sees; of others none are looked for."""
        assert self.form is not None
        seen = np.zeros(0, np.int64)
        if self.form.nowcast:
            seasons = {self.form.season(day) for day in days}
            of_image = np.array([self.form.season(day) for day in self.cube.local_days], np.int64)
            seen = np.flatnonzero(np.isin(of_image, list(seasons)))
        local, morning = self.cube.local_days[seen], self.cube.morning[seen]
        found = frozen_or_snowy(field, local, self.bundle.images, morning)
        masked = {(extent, int(seen[time])): mask for (extent, time), mask in found.masked.items()}
        return replace(found, masked=masked)
