"""What does not change with the date: elevation, slope, soil classes, incidence angle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from scipy import ndimage

from mlssm.grid import Grid, Window
from mlssm.sources.checks import incidence, soil, terrain
from mlssm.sources.checks.header import Layer
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.opening import inspect, projected
from mlssm.sources.raster import mosaic, read_onto

Floats = npt.NDArray[np.float64]


def read_terrain(paths: Sequence[Path], grid: Grid, area: Window, bad: BadFiles) -> dict[str, Array]:
    """Elevation of an area, and what is derived from it.

    Args:
        paths: Elevation rasters in metres, any CRS.
        grid: The grid.
        area: A window of it.
        bad: Whether a file that cannot be read stops the run or is left out.

    Returns:
        `elevation` in metres and each of `TERRAIN`, float32 [height, width]; NaN where there is no elevation.

    Raises:
        DataError: A file cannot be read, or a value is no elevation: a missing one that nothing declares as such.
    """
    # one pixel more on each side, so that the slope reaches the area's edge
    wider = Window(area.row - 1, area.col - 1, area.height + 2, area.width + 2)
    elevation = mosaic(paths, grid, wider, Resampling.bilinear, bad, terrain.LAYER, terrain.disagree, True)
    inner = slice(1, -1), slice(1, -1)
    found = {"elevation": elevation[inner]}
    found |= {name: derive(elevation, grid.pixel)[inner] for name, derive in TERRAIN.items()}
    terrain.check_steepness(paths[0], found["slope"])
    return found


def elevation_at(paths: Sequence[Path], grid: Grid, x: Floats, y: Floats, bad: BadFiles) -> Floats:
    """Elevation at points, metres, [point]; NaN where the rasters do not reach.

    Args:
        paths: Elevation rasters.
        grid: The grid, which the points may lie outside of.
        x: Eastings on the grid's CRS, metres.
        y: Northings.
        bad: As in `read_terrain`.
    """
    found = np.full(len(x), np.nan)
    for path in paths:
        with bad.handled(path):
            info = inspect(path)
            bounds = projected(info.crs, grid.crs, info.bounds)
            if bounds is None:
                continue
            inside = (x >= bounds[0]) & (x <= bounds[2]) & (y >= bounds[1]) & (y <= bounds[3])
            for number in np.flatnonzero(inside & np.isnan(found)):
                row, col = (grid.origin[1] - y[number]) // grid.pixel, (x[number] - grid.origin[0]) // grid.pixel
                pixel = Window(int(row), int(col), 1, 1)
                found[number] = read_onto(path, grid, pixel, Resampling.bilinear, terrain.LAYER)[0, 0]
    return found


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
    return mosaic(paths, grid, area, Resampling.nearest, bad, soil.soil_layer(bad), soil.disagree, True)


def read_incidence(paths: Sequence[Path], grid: Grid, area: Window, bad: BadFiles, layer: Layer | None = None) -> Array:
    """Incidence angle of one relative orbit in degrees, float32 [height, width], NaN where it does not look.

    Args:
        paths: Its files.
        grid: The grid.
        area: A window of it.
        bad: Whether a file that cannot be read stops the run or is left out.
        layer: How they are read, where they are not of one band in degrees.

    Raises:
        DataError: A file cannot be read, or holds something else.
    """
    layer = layer or incidence.incidence_layer(bad)
    return mosaic(paths, grid, area, Resampling.bilinear, bad, layer, incidence.disagree)


# what is derived from the elevation of an area and a pixel around it: from metres [rows, columns] and the pixel's size
TERRAIN: dict[str, Callable[[Array, float], Array]] = {"slope": slope_degrees}
