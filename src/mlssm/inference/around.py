"""A trained run on single pixels of an area: nothing but what its network sees around them is read or predicted.

The closed form's correction needs means over the whole extent, of each day: they are of a lattice of its pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mlssm.data.layers import part_place
from mlssm.grid import Floats, Window
from mlssm.inference.day_maps import DayMaps, ExtentMeans, Images, Part, with_features, with_residuals
from mlssm.inference.mapper import Days, window_end
from mlssm.inference.opened import Opened
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.stack import Stack
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.weather.field import ExtentPixels, WeatherField
from mlssm.weather.weight_cache import WeightCache

LATTICE = 10_000  # pixels of an extent, at most, that its means are of
TOGETHER = 32  # days whose drivers are held at once
EVERYTHING = slice(None)


@dataclass(frozen=True)
class Pixel:
    """A pixel of the working grid: which extent it is of, and its row and column there."""

    extent: int
    row: int
    col: int

    @property
    def window(self) -> Window:
        """Counted from the extent's corner."""
        return Window(self.row, self.col, 1, 1)


def pixel_at(working: WorkingGrid, x: float, y: float) -> Pixel | None:
    """The pixel that a point lies in, easting and northing in metres; None outside of all extents."""
    grid = working.grid
    row, col = math.floor((grid.origin[1] - y) / grid.pixel), math.floor((x - grid.origin[0]) / grid.pixel)
    for number, extent in enumerate(working.extents):
        inner = row - extent.row, col - extent.col
        if 0 <= inner[0] < extent.height and 0 <= inner[1] < extent.width:
            return Pixel(number, *inner)
    return None


def lattice_means(opened: Opened, extent: int, days: Days) -> ExtentMeans | None:
    """What the closed form has to know of a whole extent, by a lattice of its pixels; None where there is none.

    Args:
        opened: The trained run and the area.
        extent: Which.
        days: That will be asked for.
    """
    form = opened.form
    if form is None:
        return None
    lattice = _Lattice.of(opened, extent)
    whole = lattice.maps(None)
    last = whole.last_day
    ends = [window_end(opened.bundle, day) for day in days]
    seasons = sorted({form.season(day) for day in days})
    times = np.unique([time for season in seasons for time in whole.earlier_times(0, season)]).astype(np.int64)
    known = np.unique(np.concatenate([np.array(ends, "datetime64[D]"), opened.window_ends[times]]))
    means = _feature_means(whole, known[known <= last]) if whole.corrects(0) else ExtentMeans()
    if not times.size:
        return means
    return with_residuals(means, [lattice.maps(means).residual_sums(0, times)], times)


def _feature_means(whole: DayMaps, ends: Days) -> ExtentMeans:
    found: dict[np.datetime64, Floats] = {}
    for start in range(0, len(ends), TOGETHER):
        chunk = list(ends[start : start + TOGETHER])
        found |= with_features([whole.feature_sums(0, chunk)], chunk).features
    return ExtentMeans(found)


@dataclass(frozen=True)
class _Lattice:
    """Every so many pixels of an extent, along rows and columns."""

    opened: Opened
    part: Part
    field: WeatherField

    @classmethod
    def of(cls, opened: Opened, extent: int) -> _Lattice:
        window = opened.stack.working.extents[extent]
        step = max(1, math.ceil(math.sqrt(window.height * window.width / LATTICE)))
        part = Part(extent, slice(0, None, step), slice(0, None, step))
        place = part_place(opened.cube, opened.stack.working, extent, window)
        thin = ExtentPixels(place.x[::step], place.y[::step], place.elevation[::step, ::step])
        return cls(opened, part, field_at(opened, thin))

    def maps(self, means: ExtentMeans | None) -> DayMaps:
        """The closed form there."""
        opened, cube = self.opened, self.opened.cube
        assert opened.form is not None
        images = opened.stack.extents[self.part.extent].part(self.part.rows, self.part.cols)
        stack = Stack(opened.stack.working, (images,), opened.stack.channel)
        seen = len(cube.local_days) if opened.form.nowcast else 0
        masks = frozen_or_snowy(self.field, cube.local_days[:seen], opened.bundle.images, cube.morning[:seen])
        own = Images(cube, stack, masks, opened.window_ends)
        drivers = opened.drivers.on(self.field)
        return DayMaps(opened.form, own, drivers, [self.part], None if means is None else [means])


def retrieved_at(opened: Opened, pixel: Pixel) -> tuple[Days, npt.NDArray[np.float64]]:
    """What the images say of a pixel: local days, and SSM 0..1, NaN where masked.

    Of two images of a day the later one counts; there is none where the model keeps no references of the extent.
    """
    cube, retrieval = opened.cube, opened.retrievals[pixel.extent]
    if retrieval is None:
        return cube.local_days[:0], np.zeros(0)
    times = np.flatnonzero(np.append(cube.local_days[1:] != cube.local_days[:-1], True))
    rows, cols = pixel.window.slices
    sigma = opened.stack.extents[pixel.extent].backscatter(times, rows, cols)
    found = retrieval.retrieve(sigma, cube.orbits[times], rows, cols)[0][:, 0, 0].astype(float)
    whole = opened.stack.working.extents[pixel.extent]
    placed = Window(whole.row + pixel.row, whole.col + pixel.col, 1, 1)
    field = field_at(opened, part_place(cube, opened.stack.working, pixel.extent, placed))
    masks = frozen_or_snowy(field, cube.local_days, opened.bundle.images, cube.morning)
    found[masks.of(0, times, EVERYTHING, EVERYTHING)[:, 0, 0]] = np.nan
    return cube.local_days[times], found


def field_at(opened: Opened, place: ExtentPixels) -> WeatherField:
    """The weather at some pixels."""
    return replace(opened.features.field, places=(place,), cache=WeightCache())


def by_extent(pixels: Sequence[Pixel]) -> dict[int, list[Pixel]]:
    """Pixels, each once, by their extent."""
    found: dict[int, list[Pixel]] = {}
    for pixel in dict.fromkeys(pixels):
        found.setdefault(pixel.extent, []).append(pixel)
    return found
