"""One gridded file: its variables around the extents, as the file has them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError
from mlssm.grid import Bounds
from mlssm.sources.weather.grid_cells import Cells, cells_around
from mlssm.sources.weather.grid_names import (
    GRAVITY,
    Meant,
    Producer,
    height_variable,
    meant_by,
    producer_of,
    wind_components,
)
from mlssm.sources.weather.grid_times import Axis, axis_of
from mlssm.sources.weather.quantities import Unit, unit_of
from mlssm.weather.stations import Floats

SUFFIXES = (".nc", ".nc4", ".cdf", ".hdf5", ".h5", ".zarr")
GROUP = "Grid"  # in which IMERG has its variables
# what stands for missing where a file does not say so: netCDF's own fill, and codes of archives
FILLS = (9.969209968386869e36, 1e20, -9999.0, -999.0, -99.0, -32768.0)
MRMS_CODES = (-1.0, -3.0)  # missing, no coverage
FOOT_M = 0.3048


@dataclass(frozen=True)
class Part:
    """One variable of one file.

    Attributes:
        where: File and variable, for messages.
        axis: Its times.
        values: Of the cells around the extents, in the file's unit, NaN = missing [T, C].
        unit: How they become the quantity's.
        written: The unit as the file or the settings have it.
        producer: Whose file it is.
    """

    where: str
    axis: Axis
    values: Floats
    unit: Unit
    written: str
    producer: Producer


@dataclass(frozen=True)
class GridFile:
    """What one file has of the extents.

    Attributes:
        producer: Whose it is; empty where that is not known.
        cells: around the extents.
        parts: By quantity.
        elevation: Metres [C], where the file has it.
        notes: What is to be said, a line each.
    """

    producer: Producer
    cells: Cells
    parts: Mapping[str, Part]
    elevation: Floats | None
    notes: tuple[str, ...]


def read_file(path: Path, source: WeatherSource, boxes: tuple[Bounds, ...]) -> GridFile:
    """Read what a file has around the extents, and nothing else of it.

    Args:
        path: NetCDF or zarr.
        source: Which variables are meant.
        boxes: West, south, east, north of each extent, degrees.

    Raises:
        DataError: It cannot be read, or has no weather, times, units or cells that can be used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xr.SerializationWarning)  # of attributes that contradict each other
        with _opened(path) as dataset:
            try:
                return _read(path, dataset, source, boxes)
            except (RuntimeError, OSError, ValueError) as error:  # of netCDF, of zarr, of the disk
                raise DataError(f"{path}: cannot be read ({error}); replace it") from error


def _opened(path: Path) -> xr.Dataset:
    try:
        if path.is_dir():
            return xr.open_dataset(path, engine="zarr", decode_timedelta=False, consolidated=False)
        dataset = xr.open_dataset(path, engine="netcdf4", decode_timedelta=False)
        if not dataset.data_vars:
            attributes = dataset.attrs
            dataset.close()
            dataset = xr.open_dataset(path, engine="netcdf4", group=GROUP, decode_timedelta=False)
            dataset.attrs = attributes | dataset.attrs
    except Exception as error:  # each engine has errors of its own
        raise DataError(f"{path}: cannot be read as NetCDF or zarr ({error}); replace it") from error
    return dataset


def _read(path: Path, dataset: xr.Dataset, source: WeatherSource, boxes: tuple[Bounds, ...]) -> GridFile:
    producer = producer_of(dataset, path.name)
    cells = cells_around(dataset, boxes, str(path))
    axis = axis_of(dataset, path, producer)
    height = height_variable(dataset)
    elevation = None if height is None else _elevation(path, dataset[height], axis, cells)
    meant = meant_by(dataset, dict(source.columns.items()), str(path))
    notes: list[str] = []
    parts: dict[str, Part] = {}
    if axis is not None:
        for one in meant:
            part = _part(path, dataset, one, axis, cells, producer, notes)
            if part is not None:
                parts[one.quantity] = part
        wind = wind_components(dataset)
        if wind is not None and "wind" not in parts and not source.columns:
            east, north = (_part(path, dataset, Meant(name, "wind"), axis, cells, producer, notes) for name in wind)
            if east is not None and north is not None:
                speed = np.hypot(east.values, north.values)
                parts["wind"] = Part(east.where, axis, speed, east.unit, east.written, producer)
    if not parts and elevation is None:
        names = ", ".join(map(str, dataset.data_vars))
        raise DataError(
            f"{path}: it has no time: no coordinate of dates, and no day in its name (YYYYMMDD)"
            if axis is None
            else f"{path}: none of its variables ({names}) is known as weather; say what they are in "
            "datamodule.weather.columns"
        )
    told = [axis.note] if axis is not None and axis.note and parts else []
    told += [f"{part.where} is {quantity}, {part.written}" for quantity, part in parts.items()]
    return GridFile(producer, cells, parts, elevation, tuple(told + notes))


def _part(
    path: Path, dataset: xr.Dataset, meant: Meant, axis: Axis, cells: Cells, producer: Producer, notes: list[str]
) -> Part | None:
    """One variable; None where it cannot be used, with a line."""
    array = dataset[meant.variable]
    where = f"{path.parent.name}/{meant.variable}"
    written = meant.unit or str(array.attrs.get("units", array.attrs.get("unit", "")))
    if not written:
        raise DataError(
            f"{path}: {meant.variable} states no unit; give it in datamodule.weather.columns, e.g. columns: "
            f"{{{meant.quantity}: {{column: {meant.variable}, unit: mm}}}}"
        )
    unit = unit_of(meant.quantity, written, f"{path}: {meant.variable}")
    values = _of_cells(path, array, axis, cells)
    codes = np.isin(values, FILLS + (MRMS_CODES if meant.quantity == "precipitation" else ()))
    codes |= np.abs(values) > 1e30
    if codes.any():
        found = ", ".join(f"{value:g}" for value in np.unique(values[codes])[:3])
        notes.append(f"{where}: {found} stands for missing, though the file does not say so: left out")
        values = np.where(codes, np.nan, values)
    if meant.quantity == "radiation" and producer == "Daymet":
        if "dayl" not in dataset:
            notes.append(f"{where} is of the daylight, whose length (dayl) is missing: left out")
            return None
        # W/m2 while it is light, dayl seconds long: MJ/m2 of the day
        seconds = _of_cells(path, dataset["dayl"], axis, cells)
        return Part(where, axis, values * seconds * 1e-6, Unit(), f"{written} in daylight", producer)
    return Part(where, axis, values, unit, written, producer)


def _of_cells(path: Path, array: xr.DataArray, axis: Axis, cells: Cells) -> Floats:
    """A variable at the cells [T, C]; only their rows and columns are read.

    Raises:
        DataError: It has a dimension that is neither time nor place.
    """
    rows, row = np.unique(cells.row, return_inverse=True)
    columns, column = np.unique(cells.column, return_inverse=True)
    if missing := {cells.rows, cells.columns} - set(map(str, array.dims)):
        raise DataError(f"{path}: {array.name} has no dimension {' and '.join(sorted(missing))}")
    part = array.isel({cells.rows: rows, cells.columns: columns})
    if "expver" in part.dims:  # the final ERA5 first, the preliminary one where it has none
        versions = [part.isel(expver=number, drop=True) for number in range(part.sizes["expver"])]
        part = versions[0]
        for version in versions[1:]:
            part = part.fillna(version)
    others = [str(dim) for dim in part.dims if dim not in (axis.name, cells.rows, cells.columns)]
    if long := [dim for dim in others if part.sizes[dim] > 1]:
        raise DataError(f"{path}: {array.name} has {part.sizes[long[0]]} values along '{long[0]}'; take one of them")
    part = part.squeeze(others, drop=True)
    if axis.name is None or axis.name not in part.dims:
        part = part.expand_dims("one_time")
    lead = next(str(dim) for dim in part.dims if dim not in (cells.rows, cells.columns))
    values = part.transpose(lead, cells.rows, cells.columns).to_numpy().astype(np.float64)
    return np.asarray(values[:, row.ravel(), column.ravel()])


def _elevation(path: Path, array: xr.DataArray, axis: Axis | None, cells: Cells) -> Floats | None:
    """The cells' heights, metres; None where the variable has values of several times: it is something else."""
    if axis is not None and axis.name in array.dims and array.sizes[axis.name] > 1:
        return None
    still = Axis(axis.name if axis is not None else None, np.zeros(1, "datetime64[s]"), None)
    values = _of_cells(path, array, still, cells)[0]
    written = str(array.attrs.get("units", "")).replace("**", "").replace("/", " ").strip()
    scales = {"m": 1.0, "metres": 1.0, "meters": 1.0, "ft": FOOT_M, "feet": FOOT_M}
    scales |= {"m2 s-2": 1 / GRAVITY, "m2 s2": 1 / GRAVITY}
    if written not in scales:
        raise DataError(f"{path}: {array.name} looks like a height, and its unit is {written!r}; give metres")
    return np.where(np.abs(values) > 1e5, np.nan, values) * scales[written]
