"""Reading one raster file, or several, onto a window of the grid."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.windows
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.warp import reproject, transform_bounds

from mlssm.errors import DataError
from mlssm.grid import Bounds, Grid, Window
from mlssm.sources.faults import Array, BadFiles, Limits

Convert = Callable[[Array], Array]
# pixels read around the wanted window, so that bilinear resampling has its neighbours
MARGIN = 2


@dataclass(frozen=True)
class RasterInfo:
    """What a raster file's header says.

    Attributes:
        path: The file.
        crs: Its CRS as authority code where it has one, else as WKT.
        bounds: West, south, east, north in its CRS.
        pixel: Pixel width in units of its CRS.
    """

    path: Path
    crs: str
    bounds: Bounds
    pixel: float

    def bounds_in(self, crs: str) -> Bounds:
        """West, south, east, north in another CRS.

        Raises:
            DataError: The raster lies where that CRS does not reach.
        """
        if crs == self.crs:
            return self.bounds
        bounds = _projected(self.crs, crs, self.bounds)
        if bounds is None:
            raise DataError(f"{self.path} lies outside of the grid's CRS; take it away, or set datamodule.grid.crs")
        return bounds


def raster_files(folder: Path) -> list[Path]:
    """All GeoTIFFs in a folder, sorted by name; or the file itself.

    Raises:
        DataError: The folder is missing or holds no GeoTIFF.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise DataError(f"folder {folder} is missing; check datamodule.root and the source's folder in datamodule")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".tif", ".tiff"))
    if not files:
        raise DataError(f"folder {folder} holds no GeoTIFF (.tif); set this source to null to leave it out")
    return files


def inspect(path: Path) -> RasterInfo:
    """Read a raster's header.

    Raises:
        DataError: The file cannot be read, has no CRS or is not north-up.
    """
    with _opened(path) as source:
        return RasterInfo(path, source.crs.to_string(), tuple(source.bounds), float(source.res[0]))


def read_onto(path: Path, grid: Grid, window: Window, resampling: Resampling, convert: Convert | None = None) -> Array:
    """Read a raster's first band onto a window of the grid, with the band's own scale and offset applied.

    A raster that lies on the grid's own pixels is copied; any other is warped. Where `resampling` is bilinear and the
    raster's pixels are at most two thirds of the grid's, they are averaged instead.

    Args:
        path: The raster file.
        grid: The grid.
        window: Pixels of the grid; it may reach past the grid's edge.
        resampling: Bilinear for continuous values, nearest for classes.
        convert: Applied to the raster's values before they are warped: what is averaged must be what adds up.

    Returns:
        float32 [height, width] of the window; NaN where the raster has no data or does not reach.

    Raises:
        DataError: The file cannot be read, is truncated, has no CRS or is not north-up.
    """
    target = grid.crop(window)
    with _opened(path) as source:
        part = _part_covering(source, target)
        if part is None:
            return np.full(window.shape, np.nan, np.float32)
        pixels = rasterio.windows.Window.from_slices(*part.slices)
        values = source.read(1, window=pixels, masked=True).astype(np.float32).filled(np.nan)
        values = values * np.float32(source.scales[0]) + np.float32(source.offsets[0])
        transform, crs = _shifted(source.transform, part), source.crs
    return _warped(convert(values) if convert else values, transform, crs, target, resampling)


def mosaic(
    paths: Iterable[Path],
    grid: Grid,
    window: Window,
    resampling: Resampling,
    bad: BadFiles,
    limits: Limits | None = None,
) -> Array:
    """Several rasters on one window: the first that has a value wins. Shapes and units as in `read_onto`.

    Args:
        paths: The raster files.
        grid: The grid.
        window: Pixels of the grid.
        resampling: Bilinear for continuous values, nearest for classes.
        bad: Whether a bad file stops the run or is left out.
        limits: What values may be; a file with others is bad.

    Raises:
        DataError: A file is bad and the policy is "error".
    """
    result = np.full(window.shape, np.nan, np.float32)
    for path in paths:
        missing = np.isnan(result)
        if not missing.any():
            break
        with bad.handled(path):
            # before warping, which could blend a wrong value with its neighbours into a credible one
            convert = partial(limits.checked, path) if limits else None
            result = np.where(missing, read_onto(path, grid, window, resampling, convert), result)
    return result


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open file, with a CRS and north-up; what GDAL says of a bad one names the file."""
    try:
        with warnings.catch_warnings():
            # a file without georeference is refused below, in our words
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as source:
                _check_georeference(path, source)
                yield source
    except RasterioError as error:
        reason = " ".join(str(error.__cause__ or error).split())
        reason = reason.replace(f"{path.name}, ", "").replace(f"'{path}' ", "")  # the name is said once
        cure = "replace the file, or leave it out with on_bad_file=skip"
        raise DataError(f"{path} cannot be read ({reason}); {cure}") from error


def _check_georeference(path: Path, source: Any) -> None:
    if source.crs is None:
        raise DataError(f"{path} has no CRS; write one into it, e.g. with `rio edit-info --crs EPSG:32611`")
    transform = source.transform
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise DataError(f"{path} is rotated, not north-up or has no transform; rewrite it with `gdalwarp`")


def _warped(values: Array, transform: Affine, crs: CRS, target: Grid, resampling: Resampling) -> Array:
    result = np.full(target.shape, np.nan, np.float32)
    if _same_pixels(transform, crs, target):
        _copy(values, transform, target, result)
        return result
    if resampling is Resampling.bilinear and _pixel_in_metres(transform, crs, target) <= target.pixel / 1.5:
        resampling = Resampling.average
    reproject(
        values,
        result,
        src_transform=transform,
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=target.transform,
        dst_crs=target.crs,
        dst_nodata=np.nan,
        resampling=resampling,
    )
    return result


def _copy(values: Array, transform: Affine, target: Grid, result: Array) -> None:
    """Copy what a raster on the grid's own pixels has of the target."""
    col = round((transform.c - target.origin[0]) / target.pixel)
    row = round((target.origin[1] - transform.f) / target.pixel)
    here = Window(row, col, *values.shape)
    shared = here.intersection(target.full)
    result[shared.slices] = values[shared.within(here).slices]


def _part_covering(source: Any, target: Grid) -> Window | None:
    """The raster's pixels that the target needs; None where they do not meet."""
    bounds = _projected(target.crs, source.crs.to_string(), target.bounds)
    if bounds is None:
        return None
    west, south, east, north = bounds
    corner, right, bottom = source.transform, source.transform.a, source.transform.e
    col, row = int((west - corner.c) // right) - MARGIN, int((north - corner.f) // bottom) - MARGIN
    end_col, end_row = int(-((corner.c - east) // right)) + MARGIN, int(-((corner.f - south) // bottom)) + MARGIN
    wanted = Window(row, col, end_row - row, end_col - col)
    part = wanted.intersection(Window(0, 0, source.height, source.width))
    return None if 0 in part.shape else part


def _shifted(transform: Affine, part: Window) -> Affine:
    """The transform of a part of a north-up raster."""
    west, north = transform.c + part.col * transform.a, transform.f + part.row * transform.e
    return Affine(transform.a, 0, west, 0, transform.e, north)


def _projected(crs: str, onto: str, bounds: Bounds) -> Bounds | None:
    """Bounds in another CRS; None where that does not reach."""
    if _crs(crs) == _crs(onto):
        return bounds
    try:
        west, south, east, north = transform_bounds(_crs(crs), _crs(onto), *bounds)
    except RasterioError:
        return None
    return (west, south, east, north) if np.isfinite((west, south, east, north)).all() else None


@lru_cache
def _crs(text: str) -> CRS:
    return CRS.from_user_input(text)


def _same_pixels(transform: Affine, crs: CRS, target: Grid) -> bool:
    """Whether the raster's pixels are the grid's own, so that they can be copied."""
    shift = ((transform.c - target.origin[0]) / target.pixel, (transform.f - target.origin[1]) / target.pixel)
    on_grid = all(abs(value - round(value)) < 1e-3 for value in shift)
    same_size = np.allclose((transform.a, -transform.e), target.pixel, rtol=1e-6)
    return bool(on_grid and same_size and _crs(target.crs) == crs)


def _pixel_in_metres(transform: Affine, crs: CRS, target: Grid) -> float:
    """The raster's pixel size on the target's projection, at the raster's corner."""
    x, y = transform.c, transform.f
    west, south, east, north = transform_bounds(crs, target.crs, x, y + transform.e, x + transform.a, y)
    return float(max(east - west, north - south))
