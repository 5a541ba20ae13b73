"""What does not change with the date: elevation, slope, soil classes, incidence angle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rasterio.enums import Resampling
from scipy import ndimage

from mlssm.grid import Grid, Window
from mlssm.sources.faults import Array, BadFiles, Limits
from mlssm.sources.raster import mosaic

# from below the Dead Sea's shore to above Everest, metres
ELEVATION = Limits("elevation", -500, 9000, "declare its nodata value, e.g. `rio edit-info --nodata -9999`")
INCIDENCE = Limits("the incidence angle", 0, 90, "declare its nodata value, or convert it to degrees")


def read_elevation(paths: Sequence[Path], grid: Grid, area: Window, bad: BadFiles) -> tuple[Array, Array]:
    """Elevation and slope of an area.

    Args:
        paths: Elevation rasters in metres, any CRS.
        grid: The grid.
        area: A window of it.
        bad: Whether a file that cannot be read stops the run or is left out.

    Returns:
        Elevation in metres and slope in degrees (0..90), float32 [height, width]; NaN where there is no elevation.

    Raises:
        DataError: A file cannot be read, or a value is no elevation: a missing one that nothing declares as such.
    """
    # one pixel more on each side, so that the slope reaches the area's edge
    wider = Window(area.row - 1, area.col - 1, area.height + 2, area.width + 2)
    elevation = mosaic(paths, grid, wider, Resampling.bilinear, bad, ELEVATION)
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


def read_soil(paths: Sequence[Path], grid: Grid, area: Window, bad: BadFiles) -> Array:
    """Soil class codes of an area, float32 [height, width] of whole numbers, NaN where there is none."""
    return mosaic(paths, grid, area, Resampling.nearest, bad)


def read_incidence(paths: Sequence[Path], grid: Grid, area: Window, bad: BadFiles) -> Array:
    """Incidence angle of one relative orbit in degrees, float32 [height, width], NaN where it does not look."""
    return mosaic(paths, grid, area, Resampling.bilinear, bad, INCIDENCE)
