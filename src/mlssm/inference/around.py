"""A trained run, opened around some pixels of an area: nothing else of it is predicted.

The closed form's correction needs means over the whole area, of each day. They are taken over a lattice of its pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import nn

from mlssm.cube import Cube
from mlssm.data.assemble import window_ends
from mlssm.data.features import FeatureSource
from mlssm.data.layers import known_classes, part_layers, part_place
from mlssm.grid import Window
from mlssm.inference.certainty import AreaCertainty
from mlssm.inference.day_maps import AreaMeans, DayMaps, FittedForm, Images, Part, of_all, with_residuals
from mlssm.inference.mapper import Days, Mapper, fitting_layers
from mlssm.inference.restore import Restored
from mlssm.inference.retrieved import known_retrievals
from mlssm.response.areas import Drivers
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.stack import AreaStack, Stack
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.weather.field import AreaPixels, WeatherField

LATTICE = 40_000  # pixels of an area, at most, that its means are of
TOGETHER = 32  # days whose drivers are held at once


@dataclass(frozen=True)
class Pixel:
    """A pixel of the working grid: which area it is of, and its row and column there."""

    area: int
    row: int
    col: int


def pixel_at(working: WorkingGrid, x: float, y: float) -> Pixel | None:
    """The pixel that a point lies in, easting and northing in metres; None outside of all areas."""
    grid = working.grid
    row, col = int((grid.origin[1] - y) // grid.pixel), int((x - grid.origin[0]) // grid.pixel)
    for number, area in enumerate(working.areas):
        inner = row - area.row, col - area.col
        if 0 <= inner[0] < area.height and 0 <= inner[1] < area.width:
            return Pixel(number, *inner)
    return None


@dataclass(frozen=True)
class Around:
    """A trained run and an area.

    Attributes:
        run_id: The run.
        restored: Its model.
        cube: The area.
        stack: Its multilooked backscatter.
        network: The model's network, on its device.
    """

    run_id: str
    restored: Restored
    cube: Cube
    stack: Stack
    network: nn.Module

    def mapper(self, pixels: Sequence[Pixel], reach: int, days: Days) -> tuple[Mapper, tuple[tuple[int, int], ...]]:
        """The model on windows of so many pixels on each side, fewer where the area ends, in the place of areas.

        Args:
            pixels: The windows' middles.
            reach: Pixels.
            days: That will be asked for.

        Returns:
            The mapper, and the row and column of each pixel in its window.

        Raises:
            RunError: The area's channels are not the model's, or the model is not whole.
        """
        working, model = self.stack.working, self.restored.bundle
        cuts = [_cut(pixel, working.areas[pixel.area], reach) for pixel in pixels]
        parts = [Part(pixel.area, *cut.slices) for pixel, cut in zip(pixels, cuts, strict=True)]
        placed = [_moved(cut, working.areas[pixel.area]) for pixel, cut in zip(pixels, cuts, strict=True)]
        stack = Stack(
            replace(working, areas=tuple(placed)),
            tuple(_part_of(self.stack.areas[part.area], part) for part in parts),
            self.stack.channel,
        )
        features, wanted = [], model.features.static
        classes = known_classes(self.cube, wanted)
        for part, window in zip(parts, placed, strict=True):
            features.append(part_layers(self.cube, working, part.area, window, wanted, classes, days.min()))
        layers = fitting_layers(model.channels, tuple(features), model.features)
        field = self._field(
            part_place(self.cube, working, part.area, window) for part, window in zip(parts, placed, strict=True)
        )
        source = FeatureSource(field, layers, model.channels, model.model.weather_ratio)
        prefit = self._prefit(stack, field, parts, days)
        spans = AreaCertainty.restored(self.restored.fitted, working)
        certainty = replace(spans, spans=[spans.spans[part.area][part.rows, part.cols] for part in parts])
        own = self.run_id, model, self.cube, stack, source, self.network, prefit, None, ()
        centres = tuple((pixel.row - cut.row, pixel.col - cut.col) for pixel, cut in zip(pixels, cuts, strict=True))
        return Mapper(*own, certainty), centres

    def retrieved(self, pixel: Pixel) -> tuple[Days, npt.NDArray[np.float64]]:
        """What the images say of a pixel: local days, and SSM 0..1, NaN where masked.

        Of two images of a day the later one counts; there is none where the model keeps no references of the area.
        """
        cube, model = self.cube, self.restored.bundle
        retrieval = known_retrievals(self.restored.fitted, self.stack.working)[pixel.area]
        if retrieval is None or dict(self.stack.channel) != dict(model.images.channel):
            return cube.local_days[:0], np.zeros(0)
        times = np.flatnonzero(np.append(cube.local_days[1:] != cube.local_days[:-1], True))
        rows, cols = slice(pixel.row, pixel.row + 1), slice(pixel.col, pixel.col + 1)
        sigma = self.stack.areas[pixel.area].backscatter(times, rows, cols)
        found = retrieval.retrieve(sigma, cube.orbits[times], rows, cols)[0][:, 0, 0].astype(float)
        whole = self.stack.working.areas[pixel.area]
        window = _moved(Window(pixel.row, pixel.col, 1, 1), whole)
        field = self._field([part_place(cube, self.stack.working, pixel.area, window)])
        masks = frozen_or_snowy(field, cube.local_days, model.images, cube.morning)
        found[masks.of(0, times, slice(None), slice(None))[:, 0, 0]] = np.nan
        return cube.local_days[times], found

    def _field(self, places: Iterable[AreaPixels]) -> WeatherField:
        model = self.restored.bundle
        return WeatherField(self.cube.weather, self.cube.station_xy, tuple(places), model.weather)

    def _prefit(self, stack: Stack, field: WeatherField, parts: Sequence[Part], days: Days) -> DayMaps | None:
        """The closed form of the parts; None where the model has none."""
        fitted = self.restored.fitted
        if fitted is None or fitted["forecaster"] is None:
            return None
        form = FittedForm.restored(fitted, self.stack.working)
        means = {area: self._means(form, area, days) for area in {part.area for part in parts}}
        of_parts = [means[part.area] for part in parts]
        return DayMaps(form, self._images(stack, field, form), Drivers(field), parts, of_parts)

    def _means(self, form: FittedForm, area: int, days: Days) -> AreaMeans:
        """The means over a lattice of an area, of all days and of the images that a nowcast sees."""
        window = self.stack.working.areas[area]
        step = max(1, math.ceil(math.sqrt(window.height * window.width / LATTICE)))
        every = Part(area, slice(0, None, step), slice(0, None, step))
        place = part_place(self.cube, self.stack.working, area, window)
        thin = AreaPixels(place.x[::step], place.y[::step], place.elevation[::step, ::step])
        field = self._field([thin])
        stack = replace(self.stack, areas=(_part_of(self.stack.areas[area], every),))
        whole = DayMaps(form, self._images(stack, field, form), Drivers(field), [every])
        ends = self._ends(days, whole.last_day)
        if not whole.corrects(0):
            means = AreaMeans()
        else:
            chunks = [ends[start : start + TOGETHER] for start in range(0, len(ends), TOGETHER)]
            found = [of_all([whole.feature_sums(0, list(chunk))], list(chunk)).features for chunk in chunks]
            means = AreaMeans({end: each for part in found for end, each in part.items()})
        times = np.unique([time for season in form_seasons(form, days) for time in whole.earlier_times(0, season)])
        if not times.size:
            return means
        times = times.astype(np.int64)
        again = DayMaps(form, self._images(stack, field, form), Drivers(field), [every], [means])
        return with_residuals(means, [again.residual_sums(0, times)], times)

    def _ends(self, days: Days, last: np.datetime64) -> Days:
        """Last days of all windows: of the days, and of the images."""
        own = days if self.restored.bundle.knows_the_day else days - np.timedelta64(1, "D")
        found = np.unique(np.concatenate([own, window_ends(self.cube, self.restored.bundle.window)]))
        return np.asarray(found[found <= last], "datetime64[D]")

    def _images(self, stack: Stack, field: WeatherField, form: FittedForm) -> Images:
        model, cube = self.restored.bundle, self.cube
        seen = cube.local_days if form.nowcast else cube.local_days[:0]
        masks = frozen_or_snowy(field, seen, model.images, cube.morning[: len(seen)])
        return Images(cube, stack, masks, window_ends(cube, model.window))


def form_seasons(form: FittedForm, days: Days) -> list[int]:
    """The seasons of some days."""
    return sorted({form.season(day) for day in days})


def _cut(pixel: Pixel, area: Window, reach: int) -> Window:
    """The window around a pixel, counted from the area's corner."""
    row, col = max(pixel.row - reach, 0), max(pixel.col - reach, 0)
    bottom, right = min(pixel.row + reach + 1, area.height), min(pixel.col + reach + 1, area.width)
    return Window(row, col, bottom - row, right - col)


def _moved(cut: Window, area: Window) -> Window:
    return Window(cut.row + area.row, cut.col + area.col, cut.height, cut.width)


def _part_of(area: AreaStack, part: Part) -> AreaStack:
    rows, cols = part.rows, part.cols
    others = tuple((weight, packed[:, rows, cols]) for weight, packed in area.others)
    return replace(area, packed=area.packed[:, rows, cols], count=area.count[:, rows, cols], others=others)
