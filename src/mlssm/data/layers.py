"""Terrain, soil, NDVI and further layers of each extent on the working grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlssm.cube import NDVI_SCALE, Cube, pack
from mlssm.data.dated import DatedLayer, filled_from_the_past
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
    return tuple(_place(_Extent(cube, working, number)) for number in range(len(cube.extents)))


def extent_layers(cube: Cube, working: WorkingGrid, features: tuple[str, ...]) -> tuple[ExtentLayers, ...]:
    """The wanted features of each extent, as far as the cube has them.

    Args:
        cube: The cube.
        working: The grid that they are averaged onto.
        features: Wanted features; one whose source was left out is left out here too.
    """
    of_extents = (_Extent(cube, working, number) for number in range(len(cube.extents)))
    classes = {name: _classes(cube, name) for name in _there(cube, features, "classes")}
    return tuple(_layers(extent, features, classes) for extent in of_extents)


@dataclass(frozen=True)
class _Extent:
    """One extent of the cube, averaged onto the working grid's blocks."""

    cube: Cube
    working: WorkingGrid
    number: int

    @property
    def fine(self) -> Window:
        return self.cube.extents[self.number]

    @property
    def window(self) -> Window:
        return self.working.extents[self.number]

    def averaged(self, values: Array) -> Array:
        factor = self.working.factor
        return block_mean(whole_blocks(values, self.fine, self.window.refine(factor)), factor, MIN_VALID_FRACTION)[0]


def _place(extent: _Extent) -> ExtentPixels:
    x, y = extent.working.grid.centres(extent.window)
    if "elevation" not in extent.cube.manifest.features:
        return ExtentPixels(x, y, np.full(extent.window.shape, np.nan, np.float32))
    return ExtentPixels(x, y, extent.averaged(extent.cube.static("elevation", extent.fine)))


def _there(cube: Cube, features: tuple[str, ...], kind: Literal["fixed", "classes"]) -> list[str]:
    """Wanted features of a kind that the cube has, in the order of the records."""
    return [item.name for item in of_kind(kind) if item.name in features and item.name in cube.manifest.features]


def _layers(extent: _Extent, features: tuple[str, ...], classes: Mapping[str, Mapping[int, str]]) -> ExtentLayers:
    cube, fine = extent.cube, extent.fine
    fixed = {name: extent.averaged(cube.static(name, fine)) for name in _there(cube, features, "fixed")}
    for source, names in classes.items():
        codes = cube.static(source, fine)
        for code, name in names.items():
            share = np.where(np.isnan(codes), np.nan, (codes == code).astype(np.float32))
            fixed[f"{source}_{name}"] = extent.averaged(share)
    wanted = [item.name for item in of_kind("dated") if {item.name, item.name + AGE} & set(features)]
    dated = {name: _dated(extent, name) for name in wanted if len(cube.dated_days(name))}
    channels = (channel for name in dated for channel in (name, name + AGE) if channel in features)
    return ExtentLayers(fixed, dated, tuple(channels))


def _dated(extent: _Extent, name: str) -> DatedLayer:
    days, scale = extent.cube.dated_days(name), NDVI_SCALE if name == NDVI else None
    images = (extent.averaged(extent.cube.dated(name, image, extent.fine)) for image in range(len(days)))
    if scale is None:
        layer = DatedLayer(days, np.stack(list(images)))
    else:
        layer = DatedLayer(days, np.stack([pack(values, scale) for values in images]), scale)
    return filled_from_the_past(layer, extent.cube.manifest.gap_days.get(name, 0))


def _classes(cube: Cube, name: str) -> dict[int, str]:
    """The classes that a cube has of a source: of each code its name, or the code itself."""
    codes = [np.unique(cube.static(name, extent)) for extent in cube.extents]
    found = np.unique(np.concatenate(codes))
    names = cube.manifest.classes.get(name, {})
    return {int(code): names.get(int(code), str(int(code))) for code in found[np.isfinite(found)]}
