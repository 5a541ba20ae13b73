"""Terrain, soil, NDVI and further layers of each extent on the working grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlssm.cube import NDVI_SCALE, Cube, pack
from mlssm.data.dated import DatedLayer, Days, filled_from_the_past, latest_before
from mlssm.grid import Window
from mlssm.retrieval.multilook import block_mean
from mlssm.retrieval.stack import whole_blocks
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.variables import AGE, of_kind
from mlssm.weather.field import ExtentPixels

Array = npt.NDArray[np.float32]
# a block with a value in this share of its pixels has one
MIN_VALID_FRACTION = 0.5
NDVI = "ndvi"
ROWS = 512  # that are read at once


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

    def averaged(self, values: Array) -> Array:
        factor = self.working.factor
        return block_mean(whole_blocks(values, self.fine, self.window.refine(factor)), factor, MIN_VALID_FRACTION)[0]


def _place(extent: _Part) -> ExtentPixels:
    x, y = extent.working.grid.centres(extent.window)
    if "elevation" not in extent.cube.manifest.features:
        return ExtentPixels(x, y, np.full(extent.window.shape, np.nan, np.float32))
    return ExtentPixels(x, y, extent.averaged(extent.cube.static("elevation", extent.fine)))


def _there(cube: Cube, features: tuple[str, ...], kind: Literal["fixed", "classes"]) -> list[str]:
    """Wanted features of a kind that the cube has, in the order of the records."""
    return [item.name for item in of_kind(kind) if item.name in features and item.name in cube.manifest.features]


def _layers(
    extent: _Part, features: tuple[str, ...], classes: Mapping[str, Mapping[int, str]], since: np.datetime64 | None
) -> ExtentLayers:
    cube, fine = extent.cube, extent.fine
    fixed = {name: extent.averaged(cube.static(name, fine)) for name in _there(cube, features, "fixed")}
    for source, names in classes.items():
        codes = cube.static(source, fine)
        for code, name in names.items():
            share = np.where(np.isnan(codes), np.nan, (codes == code).astype(np.float32))
            fixed[f"{source}_{name}"] = extent.averaged(share)
    wanted = [item.name for item in of_kind("dated") if {item.name, item.name + AGE} & set(features)]
    dated = {name: _dated(extent, name, since) for name in wanted if len(cube.dated_days(name))}
    channels = (channel for name in dated for channel in (name, name + AGE) if channel in features)
    return ExtentLayers(fixed, dated, tuple(channels))


def _dated(extent: _Part, name: str, since: np.datetime64 | None) -> DatedLayer:
    days, scale = extent.cube.dated_days(name), NDVI_SCALE if name == NDVI else None
    gap_days = extent.cube.manifest.gap_days.get(name, 0)
    first = 0 if since is None else _first_image(days, since, gap_days)
    images = [extent.averaged(extent.cube.dated(name, image, extent.fine)) for image in range(first, len(days))]
    stored = np.stack(images) if scale is None else np.stack([pack(values, scale) for values in images])
    return filled_from_the_past(DatedLayer(days[first:], stored, scale), gap_days)


def _first_image(days: Days, since: np.datetime64, gap_days: int) -> int:
    """The first image that a day or a later one may see, in itself or in a gap of another."""
    latest = max(int(latest_before(np.array([since], "datetime64[D]"), days)[0]), 0)
    oldest = days[latest] - np.timedelta64(max(gap_days, 0), "D")
    return int(np.searchsorted(days, oldest))


def _classes(cube: Cube, name: str) -> dict[int, str]:
    """The classes that a cube has of a source: of each code its name, or the code itself."""
    codes = [np.unique(cube.static(name, band)) for extent in cube.extents for band in _bands(extent)]
    found = np.unique(np.concatenate(codes))
    names = cube.manifest.classes.get(name, {})
    return {int(code): names.get(int(code), str(int(code))) for code in found[np.isfinite(found)]}


def _bands(extent: Window) -> list[Window]:
    """An extent in bands of rows, so that memory stays bounded by its width."""
    starts = range(extent.row, extent.row + extent.height, ROWS)
    return [Window(row, extent.col, min(ROWS, extent.row + extent.height - row), extent.width) for row in starts]
