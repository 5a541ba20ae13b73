"""Extents and their values in Web Mercator, at the resolution that the page affords."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform, reproject, transform_bounds

from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import unpacked
from mlssm.mapping.viewer.content import NODATA, STEP, Bytes, Frame

MERCATOR = "EPSG:3857"
DEGREES = "EPSG:4326"


def frames_of(grid: Grid, extents: Sequence[Window], coarser: float = 1.0) -> tuple[Frame, ...]:
    """Where each extent's pictures lie.

    Args:
        grid: Of the maps.
        extents: Windows of it.
        coarser: How many times a picture's pixel is as wide as the map's.
    """
    return tuple(_frame(grid.crop(extent), number, coarser) for number, extent in enumerate(extents, 1))


def _frame(grid: Grid, number: int, coarser: float) -> Frame:
    bounds = transform_bounds(grid.crs, MERCATOR, *grid.bounds)
    _, width, height = calculate_default_transform(grid.crs, MERCATOR, grid.width, grid.height, *grid.bounds)
    shape = max(round(height / coarser), 1), max(round(width / coarser), 1)
    west, south, east, north = transform_bounds(MERCATOR, DEGREES, *bounds)
    return Frame(f"extent {number}", shape, bounds, (south, west, north, east))


def read_bands(source: object, bands: Sequence[int], frame: Frame) -> list[npt.NDArray[np.float32]]:
    """Bands of an open map in a frame, float32 [row, column] each, NaN where it has no value.

    Together: a map's bands lie pixel by pixel, so that one costs as much to read as all of them.
    """
    height, width = frame.shape
    transform = from_bounds(*frame.bounds, width, height)
    pixel = (frame.bounds[2] - frame.bounds[0]) / width
    coarse = pixel > 1.5 * _pixel_in_mercator(source, frame)
    nodata = source.nodata  # type: ignore[attr-defined]
    with WarpedVRT(
        source,
        crs=MERCATOR,
        transform=transform,
        width=width,
        height=height,
        src_nodata=nodata,
        nodata=nodata,
        resampling=Resampling.average if coarse else Resampling.nearest,
        UNIFIED_SRC_NODATA="NO",  # a pixel without soil moisture may have flags
    ) as warped:
        stored = warped.read(list(bands))
    return [unpacked(source, band, values) for band, values in zip(bands, stored, strict=True)]


def read_highest(source: object, frame: Frame, nodata: int) -> npt.NDArray[np.float32]:
    """The highest class of an open map of classes in each of a frame's pixels, float32 [row, column], NaN where none.

    A mean of classes is none, and the commonest would hide what is rare.
    """
    height, width = frame.shape
    place = {"crs": MERCATOR, "transform": from_bounds(*frame.bounds, width, height), "width": width, "height": height}
    with WarpedVRT(source, **place, src_nodata=nodata, nodata=nodata, resampling=Resampling.max) as warped:
        found = warped.read(1)
    return np.where(found == nodata, np.nan, found).astype(np.float32)


def _pixel_in_mercator(source: object, frame: Frame) -> float:
    """Width of a map's pixel where the frame lies, in metres of Web Mercator."""
    south, _, north, _ = frame.corners
    return float(source.res[0] / np.cos(np.radians((south + north) / 2)))  # type: ignore[attr-defined]


def onto_frame(values: npt.NDArray[np.float32], grid: Grid, frame: Frame) -> npt.NDArray[np.float32]:
    """Values of a grid in a frame, float32 [row, column], NaN where there is none."""
    found = np.full(frame.shape, np.nan, np.float32)
    transform: Affine = from_bounds(*frame.bounds, frame.shape[1], frame.shape[0])
    reproject(
        values,
        found,
        src_transform=grid.transform,
        src_crs=grid.crs,
        src_nodata=np.nan,
        dst_transform=transform,
        dst_crs=MERCATOR,
        dst_nodata=np.nan,
        resampling=Resampling.average if values.shape[1] > 1.5 * frame.shape[1] else Resampling.nearest,
    )
    return found


def packed(values: npt.NDArray[np.float32], step: float = STEP) -> Bytes:
    """Values as bytes: the nearest step, `NODATA` where there is none; what lies outside is put to the nearest."""
    steps = np.clip(np.round(np.nan_to_num(values) / step), 0, NODATA - 1)
    return np.where(np.isnan(values), NODATA, steps).astype(np.uint8)
