"""Reading any table of weather whose columns, units, times and places the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.config.weather_source import WeatherColumn, WeatherSource
from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.weather.by_day import by_day, partly
from mlssm.sources.weather.csv_lines import read_csv_lines
from mlssm.sources.weather.hours import Hours, days_of, step_of
from mlssm.sources.weather.numbers import are_codes, read_numbers
from mlssm.sources.weather.places import read_place
from mlssm.sources.weather.quantities import range_of, unit_of
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.site import Site
from mlssm.sources.weather.station_list import FOOT_M
from mlssm.sources.weather.table_times import Times, read_times
from mlssm.sources.weather.unit_checks import OF_TABLES, check_units
from mlssm.weather.evapotranspiration import wind_at_2m
from mlssm.weather.stations import Floats

TRACE = ("T", "TRACE", "TR")
MAX_BEYOND_RANGE = 0.01
CURE = "correct the unit in datamodule.weather.columns"


def read_tables(
    files: Sequence[Path], places: pd.DataFrame | None, source: WeatherSource, site: Site, bad: BadFiles
) -> list[StationRecord]:
    """The stations of tables with a header; lines of one station in several files are joined.

    Args:
        files: CSV with commas, semicolons or tabs.
        places: Where stations stand, if the tables do not say; see `station_list.read_station_list`.
        source: What the columns are.
        site: Time zone, and the day that hours are summed to.
        bad: What a bad file does.

    Raises:
        DataError: A file cannot be read, lacks a column, or holds numbers, times, places or units that are none.
    """
    parts: dict[str, list[tuple[Path, pd.DataFrame]]] = {}
    for path in files:
        with bad.handled(path):
            for name, lines in _by_station(path, read_csv_lines(path), source).items():
                parts.setdefault(name, []).append((path, lines))
    records = []
    for name, found in sorted(parts.items()):
        path = found[0][0]
        with bad.handled(path):
            records.append(_station(path, name, pd.concat([lines for _, lines in found]), places, source, site))
    return records


def _by_station(path: Path, lines: pd.DataFrame, source: WeatherSource) -> dict[str, pd.DataFrame]:
    if lines.empty:
        raise DataError(f"{path}: no line below the header; replace it or remove it")
    column = source.station.id.upper()
    if column not in lines.columns:
        return {path.name.removesuffix(".gz").rpartition(".")[0]: lines}
    if (lines[column] == "").any():
        raise DataError(
            f"{path}, line {(lines[column] == '').idxmax()}: {source.station.id} is empty; name the station"
        )
    return {str(name): part for name, part in lines.groupby(column, sort=True)}


def _station(
    path: Path, name: str, lines: pd.DataFrame, places: pd.DataFrame | None, source: WeatherSource, site: Site
) -> StationRecord:
    notes: list[str] = []
    times = read_times(path, lines, source.time, site.zone)
    lines, times = _once(path, name, lines, times, notes)
    longitude, latitude, elevation = _where(path, name, lines, places, source, notes)
    notes += times.notes
    step = 24.0 if times.daily else step_of(times.stamps.to_numpy(), str(path))
    values: dict[str, Floats] = {
        quantity: _values(path, lines, quantity, column, source, step, notes)
        for quantity, column in source.columns.items()
    }
    observations = _days(times, values, step, source, site, notes)
    check_units(path, observations, latitude, "metric", CURE, OF_TABLES)
    return StationRecord(name, longitude, latitude, elevation, observations, notes=tuple(notes), hourly=not times.daily)


def _once(path: Path, name: str, lines: pd.DataFrame, times: Times, notes: list[str]) -> tuple[pd.DataFrame, Times]:
    """Lines in the order of time, each time once: a line that is there twice counts once, two that differ are refused.

    Raises:
        DataError: A time has two lines that differ.
    """
    known = np.asarray(times.stamps.notna())
    table = lines[known].assign(_stamp=times.stamps[known])
    same = table.duplicated()
    if same.any():
        notes.append(f"{int(same.sum())} lines are there twice: read once")
    table = table[~same]
    twice = table["_stamp"].duplicated()
    if twice.any():
        line = table.index[twice][0]
        raise DataError(
            f"{path}, line {line}: {name} has two lines of {table['_stamp'][twice].iloc[0]} that differ; remove one"
        )
    if not table["_stamp"].is_monotonic_increasing:
        notes.append("the lines are not in the order of time: sorted")
        table = table.sort_values("_stamp", kind="stable")
    stamps = pd.DatetimeIndex(table["_stamp"])
    return table.drop(columns="_stamp"), Times(stamps, times.daily, times.notes)


def _where(
    path: Path, name: str, lines: pd.DataFrame, places: pd.DataFrame | None, source: WeatherSource, notes: list[str]
) -> tuple[float, float, float]:
    """Longitude, latitude and elevation: of the list of stations, else of the table's columns or the settings."""
    if places is not None:
        own = places[places["id"] == name]
        if own.empty:
            raise DataError(f"{path}: station {name} is not in the list of stations; add it")
        longitude, latitude, elevation = own[["longitude", "latitude", "elevation_m"]].iloc[0]
    else:
        place = source.station
        latitude = _number(path, lines, "latitude", place.latitude)
        longitude = _number(path, lines, "longitude", place.longitude)
        scale = FOOT_M if place.elevation_unit == "ft" else 1.0
        elevation = np.nan if place.elevation is None else scale * _number(path, lines, "elevation", place.elevation)
    numbers = pd.DataFrame({"LATITUDE": [latitude], "LONGITUDE": [longitude], "ELEVATION": [elevation]})
    found = read_place(path, numbers)
    notes += found.notes
    return found.longitude, found.latitude, found.elevation_m


def _number(path: Path, lines: pd.DataFrame, key: str, column: float | str) -> float:
    """A station's coordinate: as set, or the column's last."""
    if not isinstance(column, str):
        return column
    if column.upper() not in lines.columns:
        if key == "elevation":
            return float("nan")
        raise DataError(
            f"{path}: no column {column}; name the column, or give the value, in datamodule.weather.station.{key}, or "
            "a list in datamodule.weather.stations"
        )
    return float(read_numbers(path, column, lines[column.upper()]).iloc[-1])


def _values(
    path: Path,
    lines: pd.DataFrame,
    quantity: str,
    column: WeatherColumn,
    source: WeatherSource,
    step: float,
    notes: list[str],
) -> Floats:
    """A column's values in the quantity's unit.

    Raises:
        DataError: It is missing, holds something that is no number, or more than single impossible values.
    """
    if column.column.upper() not in lines.columns:
        raise DataError(
            f"{path}: no column {column.column}; it has {', '.join(lines.columns)}: correct "
            f"datamodule.weather.columns.{quantity}"
        )
    text = lines[column.column.upper()]
    traces = text.str.upper().isin(TRACE) if quantity == "precipitation" else pd.Series(False, index=text.index)
    if traces.any():
        notes.append(f"{int(traces.sum())} values of {column.column} are traces: they count as 0")
    raw = read_numbers(path, column.column, text.mask(traces, "0"))
    raw = raw.mask(raw.isin(source.missing))
    unit = unit_of(quantity, column.unit or "", f"datamodule.weather.columns.{quantity}")
    low, high = range_of(quantity)
    inverse = sorted((value - unit.offset) / unit.factor for value in (low, high))
    codes = are_codes(raw, inverse[0], inverse[1], whole=False)
    if codes.any():
        found = ", ".join(f"{value:g}" for value in sorted(raw[codes].unique()))
        notes.append(f"{int(codes.sum())} values of {column.column} are {found}, which stands for missing: left out")
    values = unit.convert(np.asarray(raw.mask(codes), dtype=np.float64), step)
    beyond = (values < low - 1e-6) | (values > high + 1e-6)
    if beyond.sum() > MAX_BEYOND_RANGE * np.isfinite(values).sum():
        first = raw[beyond].iloc[0]
        raise DataError(
            f"{path}: {int(beyond.sum())} of {int(np.isfinite(values).sum())} values of {column.column} are impossible "
            f"in {column.unit}, e.g. {first:g}; {CURE}, or name codes for missing in datamodule.weather.missing"
        )
    if beyond.any():
        notes.append(f"{int(beyond.sum())} values of {column.column} are impossible in {column.unit}: left out")
    values[beyond] = np.nan
    if quantity == "wind" and column.height_m != 10:
        values = wind_at_2m(values, column.height_m) / wind_at_2m(np.ones(1))[0]
        notes.append(f"wind at {column.height_m:g} m is taken to 10 m (FAO-56 eq. 47)")
    return values


def _days(
    times: Times, values: dict[str, Floats], step: float, source: WeatherSource, site: Site, notes: list[str]
) -> pd.DataFrame:
    if times.daily:
        return by_day(times.stamps, values)
    if source.time.stamp is None:
        notes.append("a time is taken for the end of what its values are of; datamodule.weather.time.stamp says else")
    ends = times.stamps + pd.Timedelta(hours=step if source.time.stamp == "begin" else 0)
    days, found, scaled = days_of(Hours(ends.to_numpy().astype("datetime64[s]"), step, values), site)
    notes += partly(scaled)
    return by_day(pd.DatetimeIndex(days), found)
