"""The files of an area: GeoTIFFs as their producers deliver them, and the truth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
import zarr
from affine import Affine
from rasterio.warp import Resampling, reproject

from mlssm.grid import DEGREES, Grid
from mlssm.origins.simulation.arrays import Floats

METRES_PER_DEGREE = 111_320.0
DEM_NODATA = -32768.0
TRUTH_CHUNK = 512
TRUTH_ATTRIBUTES: dict[str, Any] = {
    "units": "1",
    "long_name": "true relative surface soil moisture",
    "_ARRAY_DIMENSIONS": ["time", "y", "x"],
}


def write_raster(path: Path, values: npt.NDArray[Any], crs: str, transform: Affine, nodata: float) -> None:
    """Write one band as a deflated GeoTIFF.

    Args:
        path: The file to write.
        values: [row, column], in the type to store.
        crs: CRS of the transform.
        transform: From (column, row) to the CRS's coordinates.
        nodata: The value that says missing.
    """
    profile: dict[str, Any] = {"driver": "GTiff", "count": 1, "dtype": values.dtype.name, "nodata": nodata}
    profile |= {"height": values.shape[0], "width": values.shape[1], "crs": crs, "transform": transform}
    with rasterio.open(path, "w", **profile, compress="deflate", zlevel=1) as file:
        file.write(values, 1)


def write_on_grid(path: Path, values: npt.NDArray[Any], grid: Grid, nodata: float) -> None:
    """Write one band that lies on a grid."""
    write_raster(path, values, grid.crs, grid.transform, nodata)


def write_dem(path: Path, elevation: Floats, wide: Grid) -> None:
    """Write elevation in degrees (EPSG:4326), as DEMs come: bilinear, about the same pixel, nodata where unknown.

    Args:
        path: The file to write.
        elevation: On the wide grid, metres.
        wide: The grid with its margin.
    """
    west, south, east, north = wide.geographic_bounds()
    degrees = wide.pixel / METRES_PER_DEGREE
    shape = (round((north - south) / degrees), round((east - west) / degrees))
    transform = Affine(degrees, 0, west, 0, -degrees, north)
    geographic = np.full(shape, DEM_NODATA, dtype=np.float32)
    reproject(
        elevation,
        geographic,
        src_transform=wide.transform,
        src_crs=wide.crs,
        dst_transform=transform,
        dst_crs=DEGREES,
        dst_nodata=DEM_NODATA,
        resampling=Resampling.bilinear,
    )
    write_raster(path, geographic, DEGREES, transform, DEM_NODATA)


def block_mean(values: Floats, factor: int) -> Floats:
    """Mean of blocks of `factor` x `factor` pixels; blocks that reach past the end repeat the last row or column."""
    rows, columns = (-size % factor for size in values.shape)
    padded = np.pad(values, ((0, rows), (0, columns)), mode="edge")
    height, width = padded.shape
    blocks = padded.reshape(height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def create_truth(path: Path, times: Sequence[dt.datetime], grid: Grid) -> zarr.Array[Any]:
    """Begin the zarr group of the true SSM; each acquisition is then assigned to the returned array by its number.

    Args:
        path: The group to write.
        times: UTC acquisition times.
        grid: The area's grid.

    Returns:
        `ssm[time, y, x]`, float32, NaN where there is no soil.
    """
    x, y = grid.centres(grid.full)
    stamps = np.array([time.replace(tzinfo=None) for time in times], dtype="datetime64[ns]")
    coordinates = {
        "time": ("time", stamps, {"long_name": "acquisition of the first burst, UTC"}),
        "y": ("y", y, {"units": "m", "long_name": "northing of pixel centres"}),
        "x": ("x", x, {"units": "m", "long_name": "easting of pixel centres"}),
    }
    # Format 2: xarray opens its consolidated metadata without a warning.
    xr.Dataset(coords=coordinates, attrs={"crs": grid.crs}).to_zarr(path, consolidated=False, zarr_format=2)
    chunks = (1, min(grid.height, TRUTH_CHUNK), min(grid.width, TRUTH_CHUNK))
    array = zarr.open_group(path, mode="r+").create_array(
        "ssm",
        shape=(len(times), *grid.shape),
        chunks=chunks,
        dtype="float32",
        fill_value=np.nan,
        attributes=TRUTH_ATTRIBUTES,
    )
    zarr.consolidate_metadata(path)
    return array
