"""Terrain, soil, NDVI and further layers of each extent on the working grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlssm.cube import NDVI_SCALE, Cube, pack
from mlssm.data.dated import DatedLayer, Days, filled_from_the_past, latest_before
from mlssm.grid import Window
from mlssm.retrieval.averaged import averaged
from mlssm.retrieval.bands import bands
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.scratch import scratch
from mlssm.variables import AGE, of_kind
from mlssm.weather.field import ExtentPixels

Array = npt.NDArray[np.float32]
# a block with a value in this share of its pixels has one
MIN_VALID_FRACTION = 0.5
NDVI = "ndvi"


@dataclass(frozen=True)
class ExtentLayers:
    """What does not come from the weather.

    Attributes:
        fixed: Channels by name ("elevation", "slope", "soil_3"), float32 [height, width], NaN where missing. A channel
            of classes is the share of the pixel in that class.
        dated: NDVI and other dated layers by name.
        of_dates: Which channels they give: their values by the layer's name, their age by that and `_age`.
    """

    fixed: dict[str, Array]
    dated: dict[str, DatedLayer]
    of_dates: tuple[str, ...] = ()

    @property
    def channels(self) -> list[str]:
        """All channels, in the order in which a model sees them."""
        return [*self.fixed, *self.of_dates]

    def on(self, channel: str, day: np.datetime64, rows: slice = slice(None), cols: slice = slice(None)) -> Array:
        """A channel of dated images as it is known before a day, or its age; NaN where missing."""
        if channel in self.dated:
            return self.dated[channel].at(day, rows, cols)
        return self.dated[channel.removesuffix(AGE)].age(day, rows, cols)


def extent_places(cube: Cube, working: WorkingGrid) -> tuple[ExtentPixels, ...]:
    """Coordinates and elevation of each extent's pixels on the working grid."""
    return tuple(part_place(cube, working, number, window) for number, window in enumerate(working.extents))


def part_place(cube: Cube, working: WorkingGrid, extent: int, window: Window) -> ExtentPixels:
    """The same of a window of one extent, counted on the working grid."""
    return _place(_Part(cube, working, extent, window))


def extent_layers(cube: Cube, working: WorkingGrid, features: tuple[str, ...]) -> tuple[ExtentLayers, ...]:
    """The wanted features of each extent, as far as the cube has them.

    Args:
        cube: The cube.
        working: The grid that they are averaged onto.
        features: Wanted features; one whose source was left out is left out here too.
    """
    classes = known_classes(cube, features)
    windows = enumerate(working.extents)
    return tuple(part_layers(cube, working, extent, window, features, classes) for extent, window in windows)


def part_layers(
    cube: Cube,
    working: WorkingGrid,
    extent: int,
    window: Window,
    features: tuple[str, ...],
    classes: Mapping[str, Mapping[int, str]],
    since: np.datetime64 | None = None,
) -> ExtentLayers:
    """The same of a window of one extent.

    Args:
        cube: The cube.
        working: The grid that they are averaged onto.
        extent: Which extent.
        window: Counted on the working grid.
        features: As above.
        classes: Of the whole cube, see `known_classes`.
        since: First day that is asked for; dated images that no later day sees are left out. None: all are kept.
    """
    return _layers(_Part(cube, working, extent, window), features, classes, since)


def known_classes(cube: Cube, features: tuple[str, ...]) -> dict[str, dict[int, str]]:
    """Of the wanted features of classes, the codes that a cube has and their names."""
    return {name: _classes(cube, name) for name in _there(cube, features, "classes")}


@dataclass(frozen=True)
class _Part:
    """A window of an extent of the cube, averaged onto the working grid's blocks."""

    cube: Cube
    working: WorkingGrid
    number: int
    window: Window

    @property
    def fine(self) -> Window:
        return self.cube.extents[self.number].intersection(self.window.refine(self.working.factor))

    def averaged(self, read: Callable[[Window], Array]) -> Array:
        return averaged(read, self.fine, self.window, self.working.factor, MIN_VALID_FRACTION)


def _place(extent: _Part) -> ExtentPixels:
    x, y = extent.working.grid.centres(extent.window)
    if "elevation" not in extent.cube.manifest.features:
        return ExtentPixels(x, y, np.full(extent.window.shape, np.nan, np.float32))
    return ExtentPixels(x, y, extent.averaged(partial(extent.cube.static, "elevation")))


def _there(cube: Cube, features: tuple[str, ...], kind: Literal["fixed", "classes"]) -> list[str]:
    """Wanted features of a kind that the cube has, in the order of the records."""
    return [item.name for item in of_kind(kind) if item.name in features and item.name in cube.manifest.features]


def _layers(
    extent: _Part, features: tuple[str, ...], classes: Mapping[str, Mapping[int, str]], since: np.datetime64 | None
) -> ExtentLayers:
    cube = extent.cube
    fixed = {name: extent.averaged(partial(cube.static, name)) for name in _there(cube, features, "fixed")}
    for source, names in classes.items():
        for code, name in names.items():
            fixed[f"{source}_{name}"] = extent.averaged(partial(_share, cube, source, code))
    wanted = [item.name for item in of_kind("dated") if {item.name, item.name + AGE} & set(features)]
    dated = {name: _dated(extent, name, since) for name in wanted if len(cube.dated_days(name))}
    channels = (channel for name in dated for channel in (name, name + AGE) if channel in features)
    return ExtentLayers(fixed, dated, tuple(channels))


def _share(cube: Cube, source: str, code: int, part: Window) -> Array:
    """1 where a class is, 0 where another one is."""
    codes = cube.static(source, part)
    return np.where(np.isnan(codes), np.float32(np.nan), (codes == code).astype(np.float32))


def _dated(extent: _Part, name: str, since: np.datetime64 | None) -> DatedLayer:
    days, scale = extent.cube.dated_days(name), NDVI_SCALE if name == NDVI else None
    gap_days = extent.cube.manifest.gap_days.get(name, 0)
    first = 0 if since is None else _first_image(days, since, gap_days)
    stored = scratch((len(days) - first, *extent.window.shape), np.float32 if scale is None else np.int16)
    for image, kept in enumerate(stored, first):
        values = extent.averaged(partial(extent.cube.dated, name, image))
        kept[...] = values if scale is None else pack(values, scale)
    return filled_from_the_past(DatedLayer(days[first:], stored, scale), gap_days)


def _first_image(days: Days, since: np.datetime64, gap_days: int) -> int:
    """The first image that a day or a later one may see, in itself or in a gap of another."""
    latest = max(int(latest_before(np.array([since], "datetime64[D]"), days)[0]), 0)
    oldest = days[latest] - np.timedelta64(max(gap_days, 0), "D")
    return int(np.searchsorted(days, oldest))


def _classes(cube: Cube, name: str) -> dict[int, str]:
    """The classes that a cube has of a source: of each code its name, or the code itself."""
    parts = ((extent, rows) for extent in cube.extents for rows in bands(extent.shape))
    windows = (
        Window(extent.row + rows.start, extent.col, rows.stop - rows.start, extent.width) for extent, rows in parts
    )
    found = np.unique(np.concatenate([np.unique(cube.static(name, window)) for window in windows]))
    names = cube.manifest.classes.get(name, {})
    return {int(code): names.get(int(code), str(int(code))) for code in found[np.isfinite(found)]}
