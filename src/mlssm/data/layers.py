"""Terrain, soil, NDVI and further layers of each area on the working grid."""

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
from mlssm.weather.field import AreaPixels

Array = npt.NDArray[np.float32]
# a block with a value in this share of its pixels has one
MIN_VALID_FRACTION = 0.5
NDVI = "ndvi"
ROWS = 512  # that are read at once


@dataclass(frozen=True)
class AreaLayers:
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


def area_places(cube: Cube, working: WorkingGrid) -> tuple[AreaPixels, ...]:
    """Coordinates and elevation of each area's pixels on the working grid."""
    return tuple(part_place(cube, working, number, window) for number, window in enumerate(working.areas))


def part_place(cube: Cube, working: WorkingGrid, area: int, window: Window) -> AreaPixels:
    """The same of a window of one area, counted on the working grid."""
    return _place(_Part(cube, working, area, window))


def area_layers(cube: Cube, working: WorkingGrid, features: tuple[str, ...]) -> tuple[AreaLayers, ...]:
    """The wanted features of each area, as far as the cube has them.

    Args:
        cube: The cube.
        working: The grid that they are averaged onto.
        features: Wanted features; one whose source was left out is left out here too.
    """
    classes = known_classes(cube, features)
    windows = enumerate(working.areas)
    return tuple(part_layers(cube, working, area, window, features, classes) for area, window in windows)


def part_layers(
    cube: Cube,
    working: WorkingGrid,
    area: int,
    window: Window,
    features: tuple[str, ...],
    classes: Mapping[str, Mapping[int, str]],
    since: np.datetime64 | None = None,
) -> AreaLayers:
    """The same of a window of one area.

    Args:
        cube: The cube.
        working: The grid that they are averaged onto.
        area: Which area.
        window: Counted on the working grid.
        features: As above.
        classes: Of the whole cube, see `known_classes`.
        since: First day that is asked for; dated images that no later day sees are left out. None: all are kept.
    """
    return _layers(_Part(cube, working, area, window), features, classes, since)


def known_classes(cube: Cube, features: tuple[str, ...]) -> dict[str, dict[int, str]]:
    """Of the wanted features of classes, the codes that a cube has and their names."""
    return {name: _classes(cube, name) for name in _there(cube, features, "classes")}


@dataclass(frozen=True)
class _Part:
    """A window of an area of the cube, averaged onto the working grid's blocks."""

    cube: Cube
    working: WorkingGrid
    number: int
    window: Window

    @property
    def fine(self) -> Window:
        return self.cube.areas[self.number].intersection(self.window.refine(self.working.factor))

    def averaged(self, values: Array) -> Array:
        factor = self.working.factor
        return block_mean(whole_blocks(values, self.fine, self.window.refine(factor)), factor, MIN_VALID_FRACTION)[0]


def _place(area: _Part) -> AreaPixels:
    x, y = area.working.grid.centres(area.window)
    if "elevation" not in area.cube.manifest.features:
        return AreaPixels(x, y, np.full(area.window.shape, np.nan, np.float32))
    return AreaPixels(x, y, area.averaged(area.cube.static("elevation", area.fine)))


def _there(cube: Cube, features: tuple[str, ...], kind: Literal["fixed", "classes"]) -> list[str]:
    """Wanted features of a kind that the cube has, in the order of the records."""
    return [item.name for item in of_kind(kind) if item.name in features and item.name in cube.manifest.features]


def _layers(
    area: _Part, features: tuple[str, ...], classes: Mapping[str, Mapping[int, str]], since: np.datetime64 | None
) -> AreaLayers:
    cube, fine = area.cube, area.fine
    fixed = {name: area.averaged(cube.static(name, fine)) for name in _there(cube, features, "fixed")}
    for source, names in classes.items():
        codes = cube.static(source, fine)
        for code, name in names.items():
            share = np.where(np.isnan(codes), np.nan, (codes == code).astype(np.float32))
            fixed[f"{source}_{name}"] = area.averaged(share)
    wanted = [item.name for item in of_kind("dated") if {item.name, item.name + AGE} & set(features)]
    dated = {name: _dated(area, name, since) for name in wanted if len(cube.dated_days(name))}
    channels = (channel for name in dated for channel in (name, name + AGE) if channel in features)
    return AreaLayers(fixed, dated, tuple(channels))


def _dated(area: _Part, name: str, since: np.datetime64 | None) -> DatedLayer:
    days, scale = area.cube.dated_days(name), NDVI_SCALE if name == NDVI else None
    gap_days = area.cube.manifest.gap_days.get(name, 0)
    first = 0 if since is None else _first_image(days, since, gap_days)
    images = [area.averaged(area.cube.dated(name, image, area.fine)) for image in range(first, len(days))]
    stored = np.stack(images) if scale is None else np.stack([pack(values, scale) for values in images])
    return filled_from_the_past(DatedLayer(days[first:], stored, scale), gap_days)


def _first_image(days: Days, since: np.datetime64, gap_days: int) -> int:
    """The first image that a day or a later one may see, in itself or in a gap of another."""
    latest = max(int(latest_before(np.array([since], "datetime64[D]"), days)[0]), 0)
    oldest = days[latest] - np.timedelta64(max(gap_days, 0), "D")
    return int(np.searchsorted(days, oldest))


def _classes(cube: Cube, name: str) -> dict[int, str]:
    """The classes that a cube has of a source: of each code its name, or the code itself."""
    codes = [np.unique(cube.static(name, band)) for area in cube.areas for band in _bands(area)]
    found = np.unique(np.concatenate(codes))
    names = cube.manifest.classes.get(name, {})
    return {int(code): names.get(int(code), str(int(code))) for code in found[np.isfinite(found)]}


def _bands(area: Window) -> list[Window]:
    """An area in bands of rows, so that memory stays bounded by its width."""
    starts = range(area.row, area.row + area.height, ROWS)
    return [Window(row, area.col, min(ROWS, area.row + area.height - row), area.width) for row in starts]
