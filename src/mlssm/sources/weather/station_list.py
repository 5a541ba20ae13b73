"""Files that list where stations stand: NOAA's ghcnd-stations.txt, or a table."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import Geod

from mlssm.config.weather_source import WeatherPlace
from mlssm.errors import DataError
from mlssm.grid import Bounds
from mlssm.sources.weather.csv_lines import read_csv_lines
from mlssm.sources.weather.numbers import read_numbers
from mlssm.sources.weather.places import UNKNOWN_ELEVATIONS
from mlssm.weather.stations import Floats

NOAA_LIST = "ghcnd-stations.txt"
FOOT_M = 0.3048
# columns of ghcnd-stations.txt: https://www.ncei.noaa.gov/pub/data/ghcn/daily/readme.txt, section IV
FIXED = {"id": (0, 11), "latitude": (12, 20), "longitude": (21, 30), "elevation": (31, 37)}
NOAA_LINE = re.compile(r"[A-Z]{2}[A-Z0-9_\-]{9} [ \-\d.]{8} [ \-\d.]{9} [ \-\d.]{6}")
COLUMNS = ["id", "latitude", "longitude", "elevation_m"]


def read_station_list(path: Path, place: WeatherPlace) -> pd.DataFrame:
    """Where stations stand.

    Args:
        path: NOAA's list in columns of fixed width, or a table with a header.
        place: The names of the table's columns.

    Returns:
        Columns id, latitude, longitude (degrees, -180..180) and elevation_m (NaN = unknown), a row a station.

    Raises:
        DataError: It cannot be read, lacks a column, has a station twice, or a place that is none.
    """
    if not path.is_file():
        raise DataError(f"{path}: the list of stations is not there; set datamodule.weather.stations")
    text = path.read_bytes()[:200].decode("ascii", "replace")
    found = _fixed(path) if NOAA_LINE.match(text) else _table(path, place)
    twice = found["id"].duplicated()
    if twice.any():
        raise DataError(f"{path}: station {found['id'][twice].iloc[0]} is there twice; remove one of the lines")
    found["longitude"] = found["longitude"].where(found["longitude"] <= 180, found["longitude"] - 360)
    wrong = ~(found["latitude"].between(-90, 90) & found["longitude"].between(-180, 180))
    if wrong.any():
        bad = found[wrong].iloc[0]
        raise DataError(f"{path}: {bad['id']} stands at {bad['latitude']:g} N {bad['longitude']:g} E; correct it")
    return found.reset_index(drop=True)


def _fixed(path: Path) -> pd.DataFrame:
    lines = path.read_text("latin-1").splitlines()
    columns = {name: [line[slice(*span)].strip() for line in lines if line.strip()] for name, span in FIXED.items()}
    found = pd.DataFrame({"id": columns["id"]})
    for name in ("latitude", "longitude", "elevation"):
        found[name] = read_numbers(path, name, pd.Series(columns[name], index=range(1, len(found) + 1))).to_numpy()
    return _with_metres(found, "m")


def _table(path: Path, place: WeatherPlace) -> pd.DataFrame:
    lines = read_csv_lines(path)
    wanted = {"id": place.id, "latitude": place.latitude, "longitude": place.longitude, "elevation": place.elevation}
    found = pd.DataFrame(index=lines.index)
    for name, column in wanted.items():
        if column is None:
            found[name] = np.nan
        elif not isinstance(column, str):
            raise DataError(f"datamodule.weather.station.{name}={column}: {path} wants a column's name there")
        elif column.upper() not in lines.columns:
            raise DataError(
                f"{path}: no column {column}; it has {', '.join(lines.columns)}: say which one is meant in "
                f"datamodule.weather.station.{name}"
            )
        else:
            text = lines[column.upper()]
            found[name] = text if name == "id" else read_numbers(path, column, text)
    return _with_metres(found, place.elevation_unit)


def _with_metres(found: pd.DataFrame, unit: str) -> pd.DataFrame:
    known = found["elevation"].mask(found["elevation"].isin(UNKNOWN_ELEVATIONS)).astype(float)
    return found.assign(elevation_m=known * (FOOT_M if unit == "ft" else 1.0))[COLUMNS]


def nearest(stations: pd.DataFrame, boxes: tuple[Bounds, ...], most: int, within_km: float) -> pd.DataFrame:
    """The stations nearest to any of some extents, so many at most and no farther than so.

    Args:
        stations: As `read_station_list` gives them.
        boxes: West, south, east, north of each extent, degrees; without any, all stations are near.
        most: How many.
        within_km: How far.
    """
    if not boxes:
        return stations.iloc[:most]
    away = np.min([_distances_km(stations, box) for box in boxes], axis=0)
    order = np.argsort(away, kind="stable")[:most]
    kept: pd.DataFrame = stations.iloc[order[away[order] <= within_km]]
    return kept


def _distances_km(stations: pd.DataFrame, box: Bounds) -> Floats:
    """To the nearest point of a box along the ellipsoid, 0 inside [S]."""
    longitude, latitude = (stations[name].to_numpy(float) for name in ("longitude", "latitude"))
    west, south, east, north = box
    x, y = np.clip(longitude, west, east), np.clip(latitude, south, north)
    return np.asarray(Geod(ellps="WGS84").inv(longitude, latitude, x, y)[2] / 1000, dtype=np.float64)
