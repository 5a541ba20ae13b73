"""Terrain, soil and NDVI of each area on the working grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.cube import NDVI_SCALE, Cube, pack, unpack
from mlssm.grid import Window
from mlssm.retrieval.multilook import block_mean
from mlssm.retrieval.stack import whole_blocks
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.variables import of_kind
from mlssm.weather.field import AreaPixels

Array = npt.NDArray[np.float32]
# a block with a value in this share of its pixels has one
MIN_VALID_FRACTION = 0.5


@dataclass(frozen=True)
class AreaLayers:
    """What does not come from the weather.

    Attributes:
        fixed: Channels by name ("elevation", "slope", "soil_3"), float32 [height, width], NaN where missing. A soil
            channel is the share of the pixel in that class.
        ndvi: Packed as in the cube, int16 [ndvi image, height, width].
    """

    fixed: dict[str, Array]
    ndvi: npt.NDArray[np.int16]

    def ndvi_at(self, image: int, rows: slice, cols: slice) -> Array:
        """One NDVI image, -1..1; NaN where missing, and everywhere if `image` is -1."""
        shape = self.ndvi.shape[1:]
        if image < 0:
            return np.full(shape, np.nan, np.float32)[rows, cols]
        return unpack(self.ndvi[image, rows, cols], NDVI_SCALE)


def area_places(cube: Cube, working: WorkingGrid) -> tuple[AreaPixels, ...]:
    """Coordinates and elevation of each area's pixels on the working grid."""
    return tuple(_place(_Area(cube, working, number)) for number in range(len(cube.areas)))


def area_layers(cube: Cube, working: WorkingGrid, features: tuple[str, ...]) -> tuple[AreaLayers, ...]:
    """The wanted features of each area, as far as the cube has them.

    Args:
        cube: The cube.
        working: The grid that they are averaged onto.
        features: Wanted features; one whose source was left out is left out here too.
    """
    classes = _soil_classes(cube) if "soil" in features and "soil" in cube.manifest.features else ()
    return tuple(_layers(_Area(cube, working, number), features, classes) for number in range(len(cube.areas)))


@dataclass(frozen=True)
class _Area:
    """One area of the cube, averaged onto the working grid's blocks."""

    cube: Cube
    working: WorkingGrid
    number: int

    @property
    def fine(self) -> Window:
        return self.cube.areas[self.number]

    @property
    def window(self) -> Window:
        return self.working.areas[self.number]

    def averaged(self, values: Array) -> Array:
        factor = self.working.factor
        return block_mean(whole_blocks(values, self.fine, self.window.refine(factor)), factor, MIN_VALID_FRACTION)[0]


def _place(area: _Area) -> AreaPixels:
    x, y = area.working.grid.centres(area.window)
    if "elevation" not in area.cube.manifest.features:
        return AreaPixels(x, y, np.full(area.window.shape, np.nan, np.float32))
    return AreaPixels(x, y, area.averaged(area.cube.static("elevation", area.fine)))


def _layers(area: _Area, features: tuple[str, ...], classes: tuple[int, ...]) -> AreaLayers:
    cube, fine = area.cube, area.fine
    fixed: dict[str, Array] = {}
    for name in (item.name for item in of_kind("fixed")):
        if name in features and name in cube.manifest.features:
            fixed[name] = area.averaged(cube.static(name, fine))
    if classes:
        soil = cube.static("soil", fine)
        for code in classes:
            share = np.where(np.isnan(soil), np.nan, (soil == code).astype(np.float32))
            fixed[f"soil_{code}"] = area.averaged(share)
    images = range(len(cube.ndvi_days)) if "ndvi" in features else range(0)
    ndvi = [pack(area.averaged(cube.ndvi(image, fine)), NDVI_SCALE) for image in images]
    return AreaLayers(fixed, np.stack(ndvi) if ndvi else np.zeros((0, *area.window.shape), np.int16))


def _soil_classes(cube: Cube) -> tuple[int, ...]:
    codes = [np.unique(cube.static("soil", area)) for area in cube.areas]
    found = np.unique(np.concatenate(codes))
    return tuple(int(code) for code in found[np.isfinite(found)])
