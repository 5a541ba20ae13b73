"""A trained run, opened around some pixels of an extent: nothing else of it is predicted.

The closed form's correction needs means over the whole extent, of each day. They are taken over a lattice of its
pixels.
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
from mlssm.inference.certainty import ExtentCertainty
from mlssm.inference.day_maps import DayMaps, ExtentMeans, FittedForm, Images, Part, of_all, with_residuals
from mlssm.inference.mapper import Days, Mapper, fitting_layers
from mlssm.inference.restore import Restored
from mlssm.inference.retrieved import known_retrievals
from mlssm.response.extents import Drivers
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.stack import ExtentStack, Stack
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.weather.field import ExtentPixels, WeatherField

LATTICE = 40_000  # pixels of an extent, at most, that its means are of
TOGETHER = 32  # days whose drivers are held at once


@dataclass(frozen=True)
class Pixel:
    """A pixel of the working grid: which extent it is of, and its row and column there."""

    extent: int
    row: int
    col: int


def pixel_at(working: WorkingGrid, x: float, y: float) -> Pixel | None:
    """The pixel that a point lies in, easting and northing in metres; None outside of all extents."""
    grid = working.grid
    row, col = int((grid.origin[1] - y) // grid.pixel), int((x - grid.origin[0]) // grid.pixel)
    for number, extent in enumerate(working.extents):
        inner = row - extent.row, col - extent.col
        if 0 <= inner[0] < extent.height and 0 <= inner[1] < extent.width:
            return Pixel(number, *inner)
    return None


@dataclass(frozen=True)
class Around:
    """A trained run and an extent.

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
        """The model on windows of so many pixels on each side, fewer where the extent ends, in the place of extents.

        Args:
            pixels: The windows' middles.
            reach: Pixels.
            days: That will be asked for.

        Returns:
            The mapper, and the row and column of each pixel in its window.

        Raises:
            RunError: The extent's channels are not the model's, or the model is not whole.
        """
        working, model = self.stack.working, self.restored.bundle
        cuts = [_cut(pixel, working.extents[pixel.extent], reach) for pixel in pixels]
        parts = [Part(pixel.extent, *cut.slices) for pixel, cut in zip(pixels, cuts, strict=True)]
        placed = [_moved(cut, working.extents[pixel.extent]) for pixel, cut in zip(pixels, cuts, strict=True)]
        stack = Stack(
            replace(working, extents=tuple(placed)),
            tuple(_part_of(self.stack.extents[part.extent], part) for part in parts),
            self.stack.channel,
        )
        features, wanted = [], model.features.static
        classes = known_classes(self.cube, wanted)
        for part, window in zip(parts, placed, strict=True):
            features.append(part_layers(self.cube, working, part.extent, window, wanted, classes, days.min()))
        layers = fitting_layers(model.channels, tuple(features), model.features)
        field = self._field(
            part_place(self.cube, working, part.extent, window) for part, window in zip(parts, placed, strict=True)
        )
        source = FeatureSource(field, layers, model.channels, model.model.weather_ratio)
        prefit = self._prefit(stack, field, parts, days)
        spans = ExtentCertainty.restored(self.restored.fitted, working)
        certainty = replace(spans, spans=[spans.spans[part.extent][part.rows, part.cols] for part in parts])
        own = self.run_id, model, self.cube, stack, source, self.network, prefit, None, ()
        centres = tuple((pixel.row - cut.row, pixel.col - cut.col) for pixel, cut in zip(pixels, cuts, strict=True))
        return Mapper(*own, certainty), centres

    def retrieved(self, pixel: Pixel) -> tuple[Days, npt.NDArray[np.float64]]:
        """What the images say of a pixel: local days, and SSM 0..1, NaN where masked.

        Of two images of a day the later one counts; there is none where the model keeps no references of the extent.
        """
        cube, model = self.cube, self.restored.bundle
        retrieval = known_retrievals(self.restored.fitted, self.stack.working)[pixel.extent]
        if retrieval is None or dict(self.stack.channel) != dict(model.images.channel):
            return cube.local_days[:0], np.zeros(0)
        times = np.flatnonzero(np.append(cube.local_days[1:] != cube.local_days[:-1], True))
        rows, cols = slice(pixel.row, pixel.row + 1), slice(pixel.col, pixel.col + 1)
        sigma = self.stack.extents[pixel.extent].backscatter(times, rows, cols)
        found = retrieval.retrieve(sigma, cube.orbits[times], rows, cols)[0][:, 0, 0].astype(float)
        whole = self.stack.working.extents[pixel.extent]
        window = _moved(Window(pixel.row, pixel.col, 1, 1), whole)
        field = self._field([part_place(cube, self.stack.working, pixel.extent, window)])
        masks = frozen_or_snowy(field, cube.local_days, model.images, cube.morning)
        found[masks.of(0, times, slice(None), slice(None))[:, 0, 0]] = np.nan
        return cube.local_days[times], found

    def _field(self, places: Iterable[ExtentPixels]) -> WeatherField:
        model = self.restored.bundle
        return WeatherField(self.cube.weather, self.cube.station_xy, tuple(places), model.weather)

    def _prefit(self, stack: Stack, field: WeatherField, parts: Sequence[Part], days: Days) -> DayMaps | None:
        """The closed form of the parts; None where the model has none."""
        fitted = self.restored.fitted
        if fitted is None or fitted["forecaster"] is None:
            return None
        form = FittedForm.restored(fitted, self.stack.working)
        means = {extent: self._means(form, extent, days) for extent in {part.extent for part in parts}}
        of_parts = [means[part.extent] for part in parts]
        return DayMaps(form, self._images(stack, field, form), Drivers(field), parts, of_parts)

    def _means(self, form: FittedForm, extent: int, days: Days) -> ExtentMeans:
        """The means over a lattice of an extent, of all days and of the images that a nowcast sees."""
        window = self.stack.working.extents[extent]
        step = max(1, math.ceil(math.sqrt(window.height * window.width / LATTICE)))
        every = Part(extent, slice(0, None, step), slice(0, None, step))
        place = part_place(self.cube, self.stack.working, extent, window)
        thin = ExtentPixels(place.x[::step], place.y[::step], place.elevation[::step, ::step])
        field = self._field([thin])
        stack = replace(self.stack, extents=(_part_of(self.stack.extents[extent], every),))
        whole = DayMaps(form, self._images(stack, field, form), Drivers(field), [every])
        ends = self._ends(days, whole.last_day)
        if not whole.corrects(0):
            means = ExtentMeans()
        else:
            chunks = [ends[start : start + TOGETHER] for start in range(0, len(ends), TOGETHER)]
            found = [of_all([whole.feature_sums(0, list(chunk))], list(chunk)).features for chunk in chunks]
            means = ExtentMeans({end: each for part in found for end, each in part.items()})
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


def _cut(pixel: Pixel, extent: Window, reach: int) -> Window:
    """The window around a pixel, counted from the extent's corner."""
    row, col = max(pixel.row - reach, 0), max(pixel.col - reach, 0)
    bottom, right = min(pixel.row + reach + 1, extent.height), min(pixel.col + reach + 1, extent.width)
    return Window(row, col, bottom - row, right - col)


def _moved(cut: Window, extent: Window) -> Window:
    return Window(cut.row + extent.row, cut.col + extent.col, cut.height, cut.width)


def _part_of(extent: ExtentStack, part: Part) -> ExtentStack:
    rows, cols = part.rows, part.cols
    others = tuple((weight, packed[:, rows, cols]) for weight, packed in extent.others)
    return replace(extent, packed=extent.packed[:, rows, cols], count=extent.count[:, rows, cols], others=others)
