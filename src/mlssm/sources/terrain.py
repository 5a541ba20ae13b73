"""Elevation onto the grid, and what is derived from it: slope, aspect, curvature, wetness."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from scipy import ndimage

from mlssm.errors import ConfigError
from mlssm.grid import Grid, Window
from mlssm.sources.checks import terrain
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.mosaic import Mosaic, Reading
from mlssm.sources.opening import inspect, projected
from mlssm.sources.raster import Lend, from_disk, read_onto
from mlssm.sources.sample import Sample
from mlssm.sources.wetness import MARGIN_M, wetness

Floats = npt.NDArray[np.float64]
SLOPE, WETNESS = "slope", "wetness"
Derivative = Callable[[Array, float], Array]
STRIP = 256  # rows that are derived at once
# of this share of an extent the whole catchment may be unknown before it is worth a warning
MUCH = 0.05


def terrain_names(derived: Sequence[str]) -> tuple[str, ...]:
    """The layers of a `TerrainReading`, in their order: elevation in metres, slope, and what else is derived.

    Raises:
        ConfigError: There is no such derivative.
    """
    names = dict.fromkeys((SLOPE, *derived))
    if unknown := [name for name in names if name not in (*TERRAIN, WETNESS)]:
        raise ConfigError(f"datamodule.terrain names '{unknown[0]}'; known are {', '.join((*TERRAIN, WETNESS))}")
    last = (WETNESS,) if WETNESS in names else ()
    return ("elevation", *(name for name in names if name != WETNESS), *last)


class TerrainReading(Reading):
    """Elevation, its slope, and what else is to be derived from it; see `mlssm.sources.mosaic.Mosaic`."""

    def __init__(
        self,
        grid: Grid,
        bad: BadFiles,
        lend: Lend = from_disk,
        *,
        paths: Sequence[Path],
        derived: Sequence[str] = (),
    ) -> None:
        """Open nothing yet.

        Args:
            grid: The grid.
            bad: Whether a file that cannot be read stops the run or is left out.
            lend: Gives a file's content.
            paths: Elevation rasters in metres, any CRS.
            derived: Names of `TERRAIN`, or `wetness`, which reads `MARGIN_M` more around a window, and of which a
                window must be a whole extent.

        Raises:
            ConfigError: There is no such derivative.
        """
        self._first, self._grid, self._bad, self._names = paths[0], grid, bad, terrain_names(derived)
        # one pixel more on each side, so that the slope reaches the window's edge
        self._margin = 1 if WETNESS not in derived else math.ceil(MARGIN_M / grid.pixel)
        layer = terrain.LAYER
        self._elevation = Mosaic(paths, grid, Resampling.bilinear, bad, layer, terrain.disagree, True, lend)
        self._slopes = Sample()

    def close(self) -> None:
        """Close the files."""
        self._elevation.close()

    def window(self, window: Window) -> Array:
        """Layers of a window, float32 [layer, height, width], in the order of `terrain_names`; NaN without elevation.

        Raises:
            ConfigError: A derivative needs a package that is not installed.
            DataError: A file cannot be read, or a value is no elevation.
        """
        margin, (height, width) = self._margin, window.shape
        wider = Window(window.row - margin, window.col - margin, height + 2 * margin, width + 2 * margin)
        elevation = self._elevation.window(wider)
        inner = slice(margin, -margin), slice(margin, -margin)
        found = np.empty((len(self._names), *window.shape), np.float32)
        for layer, name in zip(found, self._names, strict=True):
            if name == "elevation":
                layer[:] = elevation[inner]
            elif name == WETNESS:
                layer[:] = self._wetness(elevation, inner)
            else:
                _derive(TERRAIN[name], elevation, margin, self._grid.pixel, layer)
        slope = found[self._names.index(SLOPE)]
        self._slopes.add(slope[np.isfinite(slope)])
        return found

    def judged(self) -> bool:
        """Whether what was read stands.

        Raises:
            DataError: The files hold no elevation.
        """
        if not self._elevation.judged():
            self._slopes = Sample()
            return False
        if self._slopes.total:
            terrain.check_steepness(self._first, *self._slopes.values())
        return True

    def _wetness(self, elevation: Array, inner: tuple[slice, slice]) -> Array:
        slope = TERRAIN[SLOPE](elevation, self._grid.pixel)
        index, is_open = wetness(elevation, slope, self._grid.pixel)
        _say_open(is_open[inner], index[inner], self._bad)
        return index[inner]


def _derive(derivative: Derivative, elevation: Array, margin: int, pixel: float, onto: Array) -> None:
    """Derive a layer of what lies inside of a margin, in strips, as float64 takes space; a pixel around it counts."""
    height, width = onto.shape
    for start in range(0, height, STRIP):
        rows = min(STRIP, height - start)
        around = elevation[margin - 1 + start : margin + 1 + start + rows, margin - 1 : margin + 1 + width]
        onto[start : start + rows] = derivative(around, pixel)[1:-1, 1:-1]


def _say_open(is_open: npt.NDArray[np.bool_], index: Array, bad: BadFiles) -> None:
    known = np.isfinite(index)
    share = float(is_open[known].mean()) if known.any() else 0.0
    if share > MUCH:
        bad.say(
            f"wetness: {share:.0%} of an extent's pixels drain land farther than {MARGIN_M:.0f} m away or beyond the "
            "DEM's edge, which is not counted: their index is too low; a DEM of the whole catchment cures the second"
        )


def elevation_at(paths: Sequence[Path], grid: Grid, x: Floats, y: Floats, bad: BadFiles) -> Floats:
    """Elevation at points, metres, [point]; NaN where the rasters do not reach.

    Args:
        paths: Elevation rasters.
        grid: The grid, which the points may lie outside of.
        x: Eastings on the grid's CRS, metres.
        y: Northings.
        bad: Whether a file that cannot be read stops the run or is left out.
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
    east, south = _gradient(elevation, pixel)
    return np.asarray(np.degrees(np.arctan(np.hypot(east, south))), np.float32)


def northness(elevation: Array, pixel: float) -> Array:
    """Cosine of the aspect (the direction of descent, clockwise from north); 0 where it is flat. As `slope_degrees`."""
    east, south = _gradient(elevation, pixel)
    return _of_length_one(south, np.hypot(east, south))


def eastness(elevation: Array, pixel: float) -> Array:
    """Sine of the aspect; 0 where it is flat. As `slope_degrees`."""
    east, south = _gradient(elevation, pixel)
    return _of_length_one(-east, np.hypot(east, south))


def _gradient(elevation: Array, pixel: float) -> tuple[Floats, Floats]:
    """Rise per metre to the east and to the south (rows run south)."""
    east = ndimage.sobel(elevation.astype(float), axis=1, mode="nearest") / (8 * pixel)
    south = ndimage.sobel(elevation.astype(float), axis=0, mode="nearest") / (8 * pixel)
    return east, south


def _of_length_one(part: Floats, length: Floats) -> Array:
    """A part of a vector over its length; 0 where it has none, NaN where it is not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(length == 0, 0, part / length).astype(np.float32)


def curvature(elevation: Array, pixel: float) -> Array:
    """Total curvature, -2 (D + E) of Zevenbergen & Thorne 1987 (Earth Surf. Process. Landforms 12, 47-56).

    Args:
        elevation: Metres, [rows, columns].
        pixel: Pixel size in metres.

    Returns:
        1/100 m: above 0 on ridges and knolls, below in hollows; NaN where a neighbour is missing.
    """
    d, e, _, _, _ = _quadratic(elevation, pixel)
    return np.asarray(-200 * (d + e), np.float32)


def profile_curvature(elevation: Array, pixel: float) -> Array:
    """Curvature down the slope, -2 (DG2 + EH2 + FGH) / (G2 + H2) of the same; above 0 where it steepens downwards."""
    d, e, f, g, h = _quadratic(elevation, pixel)
    return _per_slope(-200 * (d * g**2 + e * h**2 + f * g * h), g, h)


def plan_curvature(elevation: Array, pixel: float) -> Array:
    """Curvature across the slope, -2 (DH2 + EG2 - FGH) / (G2 + H2) of the same; above 0 on spurs, where flow parts."""
    d, e, f, g, h = _quadratic(elevation, pixel)
    return _per_slope(-200 * (d * h**2 + e * g**2 - f * g * h), g, h)


def _per_slope(numerator: Floats, g: Floats, h: Floats) -> Array:
    """A directed curvature; 0 where it is flat, and so without direction; NaN where missing."""
    steep = g**2 + h**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(steep == 0, numerator * 0, numerator / steep).astype(np.float32)


def _quadratic(elevation: Array, pixel: float) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """D, E, F, G, H of Zevenbergen & Thorne's surface, eqs 3, 4, 5, 6 and 7; x runs east, y north."""
    z = np.pad(elevation.astype(float), 1, mode="edge")
    middle, north, south = z[1:-1, 1:-1], z[:-2, 1:-1], z[2:, 1:-1]
    west, east = z[1:-1, :-2], z[1:-1, 2:]
    d = ((west + east) / 2 - middle) / pixel**2
    e = ((north + south) / 2 - middle) / pixel**2
    f = (-z[:-2, :-2] + z[:-2, 2:] + z[2:, :-2] - z[2:, 2:]) / (4 * pixel**2)
    return d, e, f, (east - west) / (2 * pixel), (north - south) / (2 * pixel)


# what is derived from the elevation of an area and a pixel around it: from metres [rows, columns] and the pixel's size
TERRAIN: dict[str, Derivative] = {
    SLOPE: slope_degrees,
    "northness": northness,
    "eastness": eastness,
    "curvature": curvature,
    "profile_curvature": profile_curvature,
    "plan_curvature": plan_curvature,
}
