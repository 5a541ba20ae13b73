"""An area's cube and a day's maps as xarray, with their CRS, for notebooks and other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import xarray as xr
from pyproj import CRS

from mlssm.cube import STATION_PROPERTIES, Cube
from mlssm.cube_writer import GRID_MAPPING
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.mapping.geotiff import NAME_TAG

PACKED = ("backscatter", "incidence", "ndvi")  # as int16; float32 holds their steps
# of the cube's attributes; the others are for itself
TOLD = ("mlssm", "digest", "crs", "pixel", "time_zone", "looks", "extents")


def cube_dataset(cube: Cube) -> xr.Dataset:
    """A cube's arrays, decoded and read when they are asked for.

    Args:
        cube: The cube.

    Returns:
        The arrays that `mlssm.cube` lists, in physical units and NaN where nothing was measured. Polarisations, static
        features, stations, weather variables and orbits are coordinates by their names; the stations' places are
        coordinates of theirs. `spatial_ref` has the CRS and transform, as rioxarray and GDAL read them.
    """
    stored, manifest = xr.open_zarr(cube.path, consolidated=False), cube.manifest
    places = stored["station"].values
    found: xr.Dataset = stored.drop_vars("station").set_coords(GRID_MAPPING)
    found = found.assign({name: found[name].astype(np.float32) for name in PACKED if name in found})
    names: dict[str, Sequence[Any]] = {
        "polarisation": manifest.polarisations,
        "feature": manifest.features,
        "station": manifest.stations,
        "variable": manifest.variables,
        "incidence_orbit": manifest.orbits,
    }
    found = found.assign_coords({name: list(values) for name, values in names.items() if name in found.dims})
    found = found.assign_coords({name: ("station", places[:, k]) for k, name in enumerate(STATION_PROPERTIES)})
    told = {name: getattr(manifest, name) for name in TOLD}
    found.attrs = {name: value for name, value in told.items() if value is not None} | {"path": str(cube.path)}
    return found


def map_array(path: Path) -> xr.DataArray:
    """A map that `predict.py` wrote, whole, in memory.

    Args:
        path: The GeoTIFF of a day.

    Returns:
        float32 [band, y, x], NaN where nothing is mapped; bands by their names, with a description each. Pixel centres
        in metres; `spatial_ref` has the CRS. The attributes are the file's tags.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with rasterio.open(path) as file:
            values = file.read(masked=True).astype(np.float32).filled(np.nan)
            values *= np.array(file.scales, np.float32)[:, None, None]
            names = [file.tags(band)[NAME_TAG] for band in file.indexes]
            grid = Grid(file.crs.to_wkt(), file.transform @ (0, 0), file.res[0], *file.shape)
            about, tags = list(file.descriptions), file.tags()
    except rasterio.errors.RasterioIOError as error:
        raise DataError(f"{path} cannot be read ({error}); give a map that predict wrote") from error
    coordinates = {"band": names, "description": ("band", about), **_places(grid)}
    found = xr.DataArray(values, coordinates, ("band", "y", "x"), "map", tags)
    found.encoding["grid_mapping"] = GRID_MAPPING
    return found


def image_array(values: npt.NDArray[np.float32], grid: Grid, days: Sequence[np.datetime64]) -> xr.DataArray:
    """SSM retrieved from images.

    Args:
        values: [time, y, x], 0..1, NaN where nothing is retrieved.
        grid: They lie on.
        days: Local day of each.

    Returns:
        The same with its places and days; `spatial_ref` has the CRS.
    """
    coordinates = {"time": np.array(days, "datetime64[ns]"), **_places(grid)}
    found = xr.DataArray(values, coordinates, ("time", "y", "x"), "retrieved")
    found.encoding["grid_mapping"] = GRID_MAPPING
    return found


def _places(grid: Grid) -> dict[str, Any]:
    """Pixel centres, and the CRS and transform as CF and GDAL name them."""
    x, y = grid.centres(grid.full)
    place = {**CRS.from_user_input(grid.crs).to_cf(), "GeoTransform": " ".join(map(str, grid.transform.to_gdal()))}
    return {
        "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate"}),
        "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
        GRID_MAPPING: ((), np.int32(0), place),
    }
