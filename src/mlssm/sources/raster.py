"""Reading one raster file, or several, onto a window of the grid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.windows
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject, transform_bounds

from mlssm.errors import DataError
from mlssm.grid import Bounds, Grid, Window

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
OnBadFile = Literal["error", "skip"]
# pixels read around the wanted window, so that bilinear resampling has its neighbours
MARGIN = 2


@dataclass
class BadFiles:
    """What happens to a file that cannot be read, and which ones did.

    Attributes:
        policy: "error" stops the run; "skip" logs the file, counts it and goes on.
        skipped: Names of the files that were left out, each once.
    """

    policy: OnBadFile
    skipped: list[str] = field(default_factory=list)

    @contextmanager
    def handled(self, path: Path) -> Iterator[None]:
        """Read `path` inside; under "skip" its DataError ends the block quietly, but logged and counted."""
        try:
            yield
        except DataError as error:
            if self.policy == "error":
                raise
            if path.name not in self.skipped:
                self.skipped.append(path.name)
                log.warning("skipped a bad file: %s", error)


@dataclass(frozen=True)
class RasterInfo:
    """What a raster file's header says.

    Attributes:
        path: The file.
        crs: Its CRS as WKT.
        bounds: West, south, east, north in its CRS.
        pixel: Pixel width in units of its CRS.
    """

    path: Path
    crs: str
    bounds: Bounds
    pixel: float


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
        DataError: The file cannot be read or has no CRS.
    """
    try:
        with rasterio.open(path) as source:
            if source.crs is None:
                raise DataError(f"{path} has no CRS; write one into it, e.g. with `rio edit-info --crs EPSG:32611`")
            return RasterInfo(path, source.crs.to_wkt(), tuple(source.bounds), float(source.res[0]))
    except RasterioError as error:
        raise DataError(_unreadable(path, error)) from error


def inspect_all(paths: Iterable[Path], bad: BadFiles) -> list[RasterInfo]:
    """Read the headers of many rasters; a bad one stops the run, or is logged and left out.

    Raises:
        DataError: A file is bad and the policy is "error".
    """
    good = []
    for path in paths:
        with bad.handled(path):
            good.append(inspect(path))
    return good


def read_onto(path: Path, grid: Grid, window: Window, resampling: Resampling) -> Array:
    """Read a raster's first band onto a window of the grid.

    A raster that lies on the grid's own pixels is copied; any other is warped. Where `resampling` is bilinear and the
    raster's pixels are at most two thirds of the grid's, they are averaged instead.

    Args:
        path: The raster file.
        grid: The grid.
        window: Pixels of the grid; it may reach past the grid's edge.
        resampling: Bilinear for continuous values, nearest for classes.

    Returns:
        float32 [height, width] of the window; NaN where the raster has no data or does not reach.

    Raises:
        DataError: The file cannot be read, is truncated, or has no CRS.
    """
    target = grid.crop(window)
    inspect(path)
    try:
        with rasterio.open(path) as source:
            part = _part_covering(source, target)
            if part is None:
                return np.full(window.shape, np.nan, np.float32)
            values = source.read(1, window=part, masked=True).astype(np.float32).filled(np.nan)
            transform, crs = source.window_transform(part), source.crs
    except RasterioError as error:
        raise DataError(_unreadable(path, error)) from error
    if resampling is Resampling.bilinear and _pixel_in_metres(transform, crs, target) <= target.pixel / 1.5:
        resampling = Resampling.average
    result = np.full(window.shape, np.nan, np.float32)
    reproject(
        values,
        result,
        src_transform=transform,
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=target.transform,
        dst_crs=target.crs,
        dst_nodata=np.nan,
        resampling=Resampling.nearest if _same_pixels(transform, crs, target) else resampling,
    )
    return result


def mosaic(paths: Iterable[Path], grid: Grid, window: Window, resampling: Resampling) -> Array:
    """Several rasters on one window: the first that has a value wins. Shapes and units as in `read_onto`."""
    result = np.full(window.shape, np.nan, np.float32)
    for path in paths:
        missing = np.isnan(result)
        if not missing.any():
            break
        result = np.where(missing, read_onto(path, grid, window, resampling), result)
    return result


def _part_covering(source: Any, target: Grid) -> rasterio.windows.Window | None:
    west, south, east, north = transform_bounds(target.crs, source.crs, *target.bounds)
    wanted = rasterio.windows.from_bounds(west, south, east, north, source.transform)
    col, row = int(np.floor(wanted.col_off)) - MARGIN, int(np.floor(wanted.row_off)) - MARGIN
    right = int(np.ceil(wanted.col_off + wanted.width)) + MARGIN
    bottom = int(np.ceil(wanted.row_off + wanted.height)) + MARGIN
    col, row, right, bottom = max(col, 0), max(row, 0), min(right, source.width), min(bottom, source.height)
    if right <= col or bottom <= row:
        return None
    return rasterio.windows.Window(col, row, right - col, bottom - row)


def _same_pixels(transform: rasterio.Affine, crs: Any, target: Grid) -> bool:
    """Whether the raster's pixels are the grid's own, so that nearest is an exact copy."""
    shift = ((transform.c - target.origin[0]) / target.pixel, (transform.f - target.origin[1]) / target.pixel)
    on_grid = all(abs(value - round(value)) < 1e-3 for value in shift)
    same_size = np.allclose((transform.a, -transform.e), target.pixel, rtol=1e-6)
    return bool(on_grid and same_size and rasterio.crs.CRS.from_user_input(target.crs) == crs)


def _pixel_in_metres(transform: rasterio.Affine, crs: Any, target: Grid) -> float:
    """The raster's pixel size on the target's projection, at the raster's corner."""
    x, y = transform.c, transform.f
    west, south, east, north = transform_bounds(crs, target.crs, x, y + transform.e, x + transform.a, y)
    return float(max(east - west, north - south))


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be read ({error}); replace the file, or leave it out with on_bad_file=skip"
