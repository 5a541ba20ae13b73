"""Which variable of a gridded file is which quantity, by what the file says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import xarray as xr

from mlssm.config.weather_source import WeatherColumn
from mlssm.errors import DataError

# CF standard names; an air temperature is told apart by its cell methods
STANDARD = {
    "precipitation_amount": "precipitation",
    "lwe_thickness_of_precipitation_amount": "precipitation",
    "thickness_of_rainfall_amount": "precipitation",
    "precipitation_flux": "precipitation",
    "lwe_precipitation_rate": "precipitation",
    "rainfall_rate": "precipitation",
    "rainfall_flux": "precipitation",
    "dew_point_temperature": "dew_point",
    "relative_humidity": "relative_humidity",
    "water_vapor_partial_pressure_in_air": "vapour_pressure",
    "wind_speed": "wind",
    "surface_downwelling_shortwave_flux_in_air": "radiation",
    "surface_snow_thickness": "snow_depth",
}
NAMES = {
    "precipitation": (
        *("tp", "prcp", "ppt", "pr", "precip", "precipitation", "precipitationcal", "total_precipitation", "rain"),
        *("rainfall", "precipitation_amount", "multisensor_qpe_01h_pass1", "multisensor_qpe_01h_pass2"),
        *("multisensor_qpe_24h_pass2", "radaronly_qpe_01h", "gaugecorr_qpe_01h", "apcp", "apcp_surface"),
    ),
    "max_temperature": ("tmax", "tasmax", "tmmx", "mx2t", "t2m_max", "tx"),
    "min_temperature": ("tmin", "tasmin", "tmmn", "mn2t", "t2m_min", "tn"),
    "temperature": ("t2m", "2t", "tmean", "tas", "tair", "air_temperature", "t2", "tg", "tmp_2maboveground"),
    "dew_point": ("d2m", "2d", "tdmean", "dewpoint", "tdps", "dpt_2maboveground"),
    "relative_humidity": ("hurs", "rh", "rh2m", "relative_humidity"),
    "vapour_pressure": ("vp", "vapour_pressure", "vapor_pressure"),
    "wind": ("wind", "ws", "sfcwind", "si10", "vs", "wind_speed"),
    "radiation": ("ssrd", "srad", "rsds", "swdown"),
    "snow_depth": ("sde", "snod", "snow_depth"),
}
EAST, NORTH = ("u10", "10u", "uas", "ugrd_10maboveground"), ("v10", "10v", "vas", "vgrd_10maboveground")
HEIGHTS = ("z", "elevation", "elev", "orog", "orography", "topo", "hgt", "height", "altitude", "hsurf")
GRAVITY = 9.80665  # m/s2, by which geopotential becomes height
Producer = Literal["Daymet", "PRISM", "IMERG", "ERA5-Land", "MRMS", ""]


@dataclass(frozen=True)
class Meant:
    """A variable and what it is; `unit` where the settings state it."""

    variable: str
    quantity: str
    unit: str | None = None


def meant_by(dataset: xr.Dataset, columns: Mapping[str, WeatherColumn], where: str) -> list[Meant]:
    """The variables that are read, and which quantity each is.

    Args:
        dataset: A file.
        columns: What the settings say; where they say nothing, CF's standard names and the producers' short ones count.
        where: The file, for messages.

    Raises:
        DataError: Two variables are the same quantity, and nobody says which is meant.
    """
    if columns:
        named = [(name, column) for name, column in columns.items() if column.column in dataset]
        return [Meant(column.column, name, column.unit) for name, column in named]
    found: dict[str, list[str]] = {}
    for variable in map(str, dataset.data_vars):
        if quantity := _recognised(dataset[variable]):
            found.setdefault(quantity, []).append(variable)
    for quantity, variables in found.items():
        if len(variables) > 1:
            raise DataError(
                f"{where}: {' and '.join(variables)} can both be {quantity}; say which is meant in "
                f"datamodule.weather.columns, e.g. columns: {{{quantity}: {{column: {variables[0]}}}}}"
            )
    return [Meant(variables[0], quantity) for quantity, variables in found.items()]


def _recognised(array: xr.DataArray) -> str | None:
    standard = str(array.attrs.get("standard_name", ""))
    if standard == "air_temperature":
        return _temperature(array)
    if standard in STANDARD:
        return STANDARD[standard]
    short = str(array.name).lower()
    quantity = next((quantity for quantity, names in NAMES.items() if short in names), None)
    return _temperature(array) if quantity == "temperature" else quantity


def _temperature(array: xr.DataArray) -> str:
    said = f"{array.attrs.get('cell_methods', '')} {array.attrs.get('long_name', '')} {array.name}".lower()
    if re.search(r"max(imum)?\b|tasmax|tmmx", said):
        return "max_temperature"
    return "min_temperature" if re.search(r"min(imum)?\b|tasmin|tmmn", said) else "temperature"


def wind_components(dataset: xr.Dataset) -> tuple[str, str] | None:
    """The variables of the wind's eastward and northward parts."""
    lower = {str(name).lower(): str(name) for name in dataset.data_vars}
    east = next((lower[name] for name in EAST if name in lower), None)
    north = next((lower[name] for name in NORTH if name in lower), None)
    return (east, north) if east and north else None


def height_variable(dataset: xr.Dataset) -> str | None:
    """The variable that has the cells' height, or their geopotential."""
    return next((str(name) for name in dataset.data_vars if str(name).lower() in HEIGHTS), None)


def producer_of(dataset: xr.Dataset, name: str) -> Producer:
    """Who made a file, as far as that decides how it is read; by its attributes and its name."""
    said = " ".join([name, *(str(value) for value in dataset.attrs.values())]).lower()
    known: tuple[tuple[str, Producer], ...] = (
        (r"daymet", "Daymet"),
        (r"\bprism\b|prism_|prism climate", "PRISM"),
        (r"imerg|3b-hhr|3b-day", "IMERG"),
        (r"era5[-_ ]?land", "ERA5-Land"),
        (r"mrms|multisensor_qpe|radaronly_qpe", "MRMS"),
    )
    return next((producer for pattern, producer in known if re.search(pattern, said)), "")
