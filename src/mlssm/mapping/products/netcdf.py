"""All days in one NetCDF file, by the Climate and Forecast conventions (CF 1.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS

from mlssm.errors import DataError
from mlssm.files import whole_file
from mlssm.mapping.geotiff import read_values
from mlssm.mapping.list import DayMap
from mlssm.progress import track

CHUNK = 256
LONG_NAME = "surface soil moisture, relative: 0 driest seen, 1 wettest seen"


def write_netcdf(maps: Sequence[DayMap], path: Path) -> Path:
    """Write `ssm(time, y, x)` and its coordinates, a day at a time; the file has its name when it is whole.

    Args:
        maps: On one grid, in the order of days.
        path: The file.

    Raises:
        DataError: The file cannot be written.
    """
    import netCDF4  # slow, and few ask for it

    try:
        with whole_file(path) as finished, netCDF4.Dataset(finished, "w") as file:
            ssm = _layout(file, maps)
            for number, each in enumerate(track(maps, "maps into NetCDF")):
                with rasterio.open(each.path) as source:
                    ssm[number] = read_values(source, 1)
    except (OSError, RuntimeError) as error:  # a full disk is a runtime error of HDF5's
        raise DataError(f"{path} cannot be written ({error}); choose another folder or free some space") from error
    return path


def _layout(file: Any, maps: Sequence[DayMap]) -> Any:
    """Dimensions and coordinates; returns the variable that the maps go into."""
    with rasterio.open(maps[0].path) as first:
        crs, transform, (height, width) = CRS.from_user_input(first.crs), first.transform, first.shape
    file.setncatts({"Conventions": "CF-1.10", "title": "surface soil moisture, relative"})
    days = np.array([each.day for each in maps], "datetime64[D]").astype(np.int32)
    x = transform.c + (np.arange(width) + 0.5) * transform.a
    y = transform.f + (np.arange(height) + 0.5) * transform.e
    _coordinate(file, "time", days, {"units": "days since 1970-01-01", "standard_name": "time", "axis": "T"})
    _coordinate(file, "y", y, {"units": "m", "standard_name": "projection_y_coordinate", "axis": "Y"})
    _coordinate(file, "x", x, {"units": "m", "standard_name": "projection_x_coordinate", "axis": "X"})
    place = file.createVariable("spatial_ref", "i4", ())
    place.setncatts({**crs.to_cf(), "GeoTransform": " ".join(map(str, transform.to_gdal()))})
    chunks = (1, min(CHUNK, height), min(CHUNK, width))
    missing = np.float32(np.nan)
    ssm = file.createVariable("ssm", "f4", ("time", "y", "x"), zlib=True, chunksizes=chunks, fill_value=missing)
    ssm.setncatts({"units": "1", "long_name": LONG_NAME, "grid_mapping": "spatial_ref"})
    return ssm


def _coordinate(file: Any, name: str, values: npt.NDArray[Any], attributes: Mapping[str, str]) -> None:
    file.createDimension(name, len(values))
    variable = file.createVariable(name, values.dtype, (name,))
    variable.setncatts(attributes)
    variable[:] = values
