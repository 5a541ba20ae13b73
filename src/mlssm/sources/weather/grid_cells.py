"""Where the cells of a gridded file lie, and which of them are around the extents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from mlssm.errors import DataError
from mlssm.grid import DEGREES, Bounds
from mlssm.weather.stations import Floats

LATITUDES, LONGITUDES = ("lat", "latitude", "nav_lat", "xlat"), ("lon", "longitude", "nav_lon", "xlong", "long")
RING = 1.6  # cells around an extent that are read: those on all sides of its edge
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Cells:
    """The cells of a file that are read.

    Attributes:
        rows: Name of the dimension of rows, or None where the file is of one row.
        columns: That of columns.
        row: Row of each cell [C].
        column: Column of each cell [C].
        longitude: Degrees east, -180..180 [C].
        latitude: Degrees north [C].
    """

    rows: str
    columns: str
    row: Index
    column: Index
    longitude: Floats
    latitude: Floats


def cells_around(dataset: xr.Dataset, boxes: tuple[Bounds, ...], where: str) -> Cells:
    """The cells in and around the extents.

    Longitudes may count from 0 to 360, latitudes run either way; cells of a projected grid have coordinates of two
    dimensions, or the file says which projection its x and y are of.

    Args:
        dataset: A file.
        boxes: West, south, east, north of each extent, degrees; without any, all cells.
        where: The file, for messages.

    Raises:
        DataError: There are no coordinates, or no cell is around an extent.
    """
    rows, columns, longitude, latitude = _coordinates(dataset, where)
    longitude = (longitude + 180) % 360 - 180
    known = np.isfinite(longitude) & np.isfinite(latitude)
    near = known.copy()
    if boxes:
        east_west, north_south = _spacing(longitude), _spacing(latitude)
        near = np.zeros(longitude.shape, bool)
        for west, south, east, north in boxes:
            inside = (latitude >= south - RING * north_south) & (latitude <= north + RING * north_south)
            middle, half = (west + east) / 2, (east - west) / 2 + RING * east_west
            near |= known & inside & (np.abs((longitude - middle + 180) % 360 - 180) <= half)
    if not near.any():
        raise DataError(
            f"{where}: its cells lie at {np.nanmin(latitude):.2f}..{np.nanmax(latitude):.2f} N "
            f"{np.nanmin(longitude):.2f}..{np.nanmax(longitude):.2f} E, none of them around the images; take the part "
            "around them"
        )
    row, column = np.nonzero(near)
    return Cells(rows, columns, row, column, longitude[row, column], latitude[row, column])


def _coordinates(dataset: xr.Dataset, where: str) -> tuple[str, str, Floats, Floats]:
    """The two dimensions, and longitude and latitude of each cell [rows, columns]."""
    latitude, longitude = _named(dataset, LATITUDES, "degrees_north"), _named(dataset, LONGITUDES, "degrees_east")
    if latitude is not None and longitude is not None and latitude.ndim == longitude.ndim == 1:
        x, y = np.meshgrid(longitude.to_numpy().astype(float), latitude.to_numpy().astype(float))
        return str(latitude.dims[0]), str(longitude.dims[0]), x, y
    if latitude is not None and longitude is not None and latitude.ndim == longitude.ndim == 2:
        rows, columns = map(str, latitude.dims)
        x = longitude.transpose(rows, columns).to_numpy().astype(float)
        return rows, columns, x, latitude.to_numpy().astype(float)
    return _projected(dataset, where)


def _named(dataset: xr.Dataset, names: tuple[str, ...], unit: str) -> xr.DataArray | None:
    """A coordinate by its name, or by its unit."""
    lower = {str(name).lower(): name for name in dataset.variables}
    found = next((lower[name] for name in names if name in lower), None)
    if found is None:
        of_unit = (name for name, values in dataset.variables.items() if values.attrs.get("units") == unit)
        found = next((name for name in of_unit if 1 <= dataset[name].ndim <= 2), None)
    return None if found is None or dataset[found].ndim == 0 else dataset[found]


def _projected(dataset: xr.Dataset, where: str) -> tuple[str, str, Floats, Floats]:
    """From x and y in metres by the projection that the file states, as CF has it."""
    mappings = [name for name in dataset.variables if "grid_mapping_name" in dataset[name].attrs]
    mappings += [name for name in dataset.variables if {"crs_wkt", "spatial_ref"} & dataset[name].attrs.keys()]
    lower = {str(name).lower(): str(name) for name in dataset.variables if dataset[name].ndim == 1}
    x = next((lower[name] for name in ("x", "easting") if name in lower), None)
    y = next((lower[name] for name in ("y", "northing") if name in lower), None)
    if not mappings or x is None or y is None:
        raise DataError(f"{where}: no latitudes and longitudes, and no projection of its x and y; give a CF file")
    try:
        crs = CRS.from_cf(dict(dataset[mappings[0]].attrs))
    except (CRSError, KeyError, ValueError) as error:
        raise DataError(f"{where}: its projection '{mappings[0]}' cannot be read ({error})") from error
    metres = {name: 1000.0 if dataset[name].attrs.get("units") == "km" else 1.0 for name in (x, y)}
    grid = np.meshgrid(dataset[x].to_numpy() * metres[x], dataset[y].to_numpy() * metres[y])
    longitude, latitude = Transformer.from_crs(crs, DEGREES, always_xy=True).transform(*grid)
    return str(dataset[y].dims[0]), str(dataset[x].dims[0]), np.asarray(longitude), np.asarray(latitude)


def _spacing(values: Floats) -> float:
    """Degrees from a cell to the next along the axis on which these change most."""
    steps = [np.abs((np.diff(values, axis=axis) + 180) % 360 - 180) for axis in (0, 1)]
    return max((float(np.nanmedian(found)) for found in steps if found.size), default=0.1) or 0.1


@dataclass(frozen=True)
class Blocks:
    """Cells that are averaged together, so that a fine grid has not more stations than serve.

    Attributes:
        of_cell: The block of each cell [C].
        factor: Cells along a block.
    """

    of_cell: Index
    factor: int

    @property
    def count(self) -> int:
        """How many blocks."""
        return int(self.of_cell.max()) + 1

    def mean(self, values: Floats) -> Floats:
        """Means over the known cells of each block [..., C] -> [..., B]; the cells themselves where a block is one."""
        if self.factor == 1:
            return values
        known = np.isfinite(values)
        ones = np.zeros((values.shape[-1], self.count))
        ones[np.arange(values.shape[-1]), self.of_cell] = 1.0
        count = known.astype(np.float64) @ ones
        return np.asarray((np.nan_to_num(values) @ ones) / np.where(count > 0, count, np.nan), dtype=np.float64)


def blocks_of(cells: Cells, most: int) -> Blocks:
    """Blocks of n x n cells, n as small as leaves no more than so many."""
    factor = 1
    while True:
        keys = np.stack([cells.row // factor, cells.column // factor])
        _, of_cell = np.unique(keys, axis=1, return_inverse=True)
        if of_cell.max() < most:
            return Blocks(np.asarray(of_cell).ravel(), factor)
        factor += 1
