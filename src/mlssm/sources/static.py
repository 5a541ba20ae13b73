"""What does not change with the date: elevation, slope, soil classes, incidence angle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rasterio.enums import Resampling
from scipy import ndimage

from mlssm.grid import Grid, Window
from mlssm.sources.raster import Array, mosaic


def read_elevation(paths: Sequence[Path], grid: Grid, area: Window) -> tuple[Array, Array]:
    """Elevation and slope of an area.

    Args:
        paths: Elevation rasters in metres, any CRS.
        grid: The grid.
        area: A window of it.

    Returns:
        Elevation in metres and slope in degrees (0..90), float32 [height, width]; NaN where there is no elevation.

    Raises:
        DataError: A file cannot be read.
    """
    # one pixel more on each side, so that the slope reaches the area's edge
    wider = Window(area.row - 1, area.col - 1, area.height + 2, area.width + 2)
    elevation = mosaic(paths, grid, wider, Resampling.bilinear)
    inner = slice(1, -1), slice(1, -1)
    return elevation[inner], slope_degrees(elevation, grid.pixel)[inner]


def slope_degrees(elevation: Array, pixel: float) -> Array:
    """Slope by Horn's 3 x 3 differences (Horn 1981, Proc. IEEE 69, eq. 1), as gdaldem has it.

    Args:
        elevation: Metres, [rows, columns].
        pixel: Pixel size in metres.

    Returns:
        Degrees, 0..90, of the same shape; NaN where a neighbour is missing.
    """
    east = ndimage.sobel(elevation.astype(float), axis=1, mode="nearest") / (8 * pixel)
    north = ndimage.sobel(elevation.astype(float), axis=0, mode="nearest") / (8 * pixel)
    return np.asarray(np.degrees(np.arctan(np.hypot(east, north))), np.float32)


def read_soil(paths: Sequence[Path], grid: Grid, area: Window) -> Array:
    """Soil class codes of an area, float32 [height, width] of whole numbers, NaN where there is none."""
    return mosaic(paths, grid, area, Resampling.nearest)


def read_incidence(paths: Sequence[Path], grid: Grid, area: Window) -> Array:
    """Incidence angle of one relative orbit in degrees, float32 [height, width], NaN where it does not look."""
    return mosaic(paths, grid, area, Resampling.bilinear)
