"""Sources of the land on one window, read as a preparation reads them window by window."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.grid import Grid, Window
from mlssm.sources.checks.header import Stored
from mlssm.sources.classes import Classes
from mlssm.sources.faults import BadFiles
from mlssm.sources.images import DatedImage
from mlssm.sources.layers import LayerFiles, layer_reading
from mlssm.sources.mosaic import Mosaic, Reading
from mlssm.sources.ndvi import NdviImage, NdviReading
from mlssm.sources.static import incidence_reading, soil_reading
from mlssm.sources.terrain import TerrainReading, terrain_names

Array = npt.NDArray[np.float32]


def whole(reading: Reading, window: Window) -> Array:
    """A window of a source, once it was judged."""
    with reading:
        while True:
            values = reading.window(window)
            if reading.judged():
                return values


def mosaic(paths: Sequence[Path], grid: Grid, window: Window, resampling: Any, bad: BadFiles, *more: Any) -> Array:
    """Several rasters."""
    return whole(Mosaic(paths, grid, resampling, bad, *more), window)


def read_terrain(
    paths: Sequence[Path], grid: Grid, extent: Window, bad: BadFiles, derived: Sequence[str] = ()
) -> dict[str, Array]:
    """The layers of terrain, by their names."""
    layers = whole(TerrainReading(grid, bad, paths=paths, derived=derived), extent)
    return dict(zip(terrain_names(derived), layers, strict=True))


def read_soil(
    paths: Sequence[Path], grid: Grid, extent: Window, bad: BadFiles, classes: Classes | None = None
) -> Array:
    """Soil classes."""
    return whole(soil_reading(grid, bad, paths=paths, classes=classes or Classes()), extent)


def read_incidence(
    paths: Sequence[Path], grid: Grid, extent: Window, bad: BadFiles, stored: Stored | None = None
) -> Array:
    """Incidence angles."""
    return whole(incidence_reading(grid, bad, paths=paths, stored=stored), extent)


def read_ndvi(image: NdviImage, grid: Grid, extent: Window, bad: BadFiles) -> Array:
    """NDVI of a day."""
    return whole(NdviReading(grid, bad, image=image), extent)


def read_layer(layer: LayerFiles, image: DatedImage, grid: Grid, extent: Window, bad: BadFiles) -> Array:
    """An image of a layer."""
    return whole(layer_reading(grid, bad, layer=layer, image=image), extent)
