"""Soil moisture of plain tables, a row a measurement, by columns that the configuration names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import GroundTableConfig
from mlssm.errors import ConfigError, DataError
from mlssm.sources.insitu.sensor import MOST, Depth, Sensor, is_within
from mlssm.sources.weather.numbers import read_numbers

UNIT_COLUMNS = ("unit", "units")
SPELT = {"m3/m3": "m3/m3", "m3 m-3": "m3/m3", "m^3/m^3": "m3/m3", "cm3/cm3": "m3/m3", "%": "%", "percent": "%"}
MOST_PERCENT = 100.0


def read_table(path: Path, config: GroundTableConfig, wanted: Depth) -> list[Sensor]:
    """The sensors of a CSV file.

    Args:
        path: The file.
        config: Its columns.
        wanted: Depths between which sensors count, metres.

    Raises:
        ConfigError: The units are not told, or they cannot be those; a column that is named is not there.
        DataError: A value is no number, day or time, a station moves, or one has a time twice.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a table ({' '.join(str(error).split())}); replace it") from None
    rows.columns = rows.columns.str.strip()
    rows.index = pd.RangeIndex(2, len(rows) + 2)  # the lines of the file, but for empty ones
    _require_columns(path, rows, config)
    found = pd.DataFrame(
        {
            "station": rows[config.station].str.strip(),
            "sensor": rows[config.sensor].str.strip() if config.sensor else "",
            "longitude": read_numbers(path, config.longitude, rows[config.longitude]),
            "latitude": read_numbers(path, config.latitude, rows[config.latitude]),
            "depth": _depths(path, rows, config),
        }
    )
    _refuse_unplaced(path, found)
    found["time"], daily = _times(path, rows[config.date], config)
    moisture = _in_volume(path, read_numbers(path, config.moisture, rows[config.moisture]), rows, config)
    bad = ~rows[config.flag].str.strip().isin(config.good) if config.flag else pd.Series(False, rows.index)
    found["refused"] = bad & moisture.notna()
    found["moisture"] = moisture.mask(bad)
    found["temperature"] = _temperature(path, rows, config)
    return [*_sensors(path, found, wanted, daily=daily)]


def _require_columns(path: Path, rows: pd.DataFrame, config: GroundTableConfig) -> None:
    keys = ("station", "longitude", "latitude", "date", "depth", "moisture", "temperature", "flag", "sensor")
    for key in keys:
        name = getattr(config, key)
        if name is not None and name not in rows:
            null = " or null" if key in ("depth", "temperature", "flag", "sensor") else ""
            raise ConfigError(
                f"csv.{key}={name} is no column of {path.name}; set it to one of {', '.join(rows.columns)}{null}"
            )


def _depths(path: Path, rows: pd.DataFrame, config: GroundTableConfig) -> pd.Series[float]:
    if config.depth is None:
        return pd.Series(float(config.depth_m or 0), rows.index)
    return read_numbers(path, config.depth, rows[config.depth]) / (100 if config.depth_unit == "cm" else 1)


def _refuse_unplaced(path: Path, found: pd.DataFrame) -> None:
    numbers = found[["longitude", "latitude", "depth"]]
    wrong = (found["station"] == "") | numbers.isna().any(axis=1)
    wrong |= (found["longitude"].abs() > 360) | (found["latitude"].abs() > 90) | (found["depth"] < 0)
    if wrong.any():
        line = found.index[wrong][0]
        raise DataError(
            f"{path}, line {line}: station, longitude, latitude (degrees) or depth is missing or impossible; correct it"
        )
    places = found.groupby("station")[["longitude", "latitude"]].nunique().max(axis=1)
    if (places > 1).any():
        raise DataError(f"{path}: station {places.index[places > 1][0]} has several places; give each its own name")


def _times(path: Path, text: pd.Series[str], config: GroundTableConfig) -> tuple[npt.NDArray[np.datetime64], bool]:
    """Local days, or UTC times; and which of the two."""
    text = text.str.strip()
    daily = bool(text.str.fullmatch(r"\d{4}-?\d{2}-?\d{2}").all())
    times = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=False) if daily else _utc(text, config)
    if times.isna().any():
        line = times.index[times.isna()][0]
        raise DataError(f"{path}, line {line}: {text[line]!r} is no day or time; write 2021-03-09 or 2021-03-09T14:00")
    return times.to_numpy().astype("datetime64[s]"), daily


def _utc(text: pd.Series[str], config: GroundTableConfig) -> pd.Series[pd.Timestamp]:
    try:
        zone = ZoneInfo(config.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"csv.time_zone={config.time_zone} is no time zone; write e.g. UTC or Etc/GMT+8") from None

    def one(written: str) -> Any:
        try:
            time = pd.Timestamp(written)
        except ValueError:
            return pd.NaT
        return (time if time.tzinfo else time.tz_localize(zone)).tz_convert("UTC").tz_localize(None)

    return pd.Series({line: one(written) for line, written in text.items()})


def _in_volume(path: Path, values: pd.Series[float], rows: pd.DataFrame, config: GroundTableConfig) -> pd.Series[float]:
    """Soil moisture, m3/m3."""
    units = config.units or _told_units(path, rows, values)
    most, other = (MOST, "%") if units == "m3/m3" else (MOST_PERCENT, "m3/m3")
    high, low = float(values.max()), float(values.min())
    if high > most or low < 0:
        raise ConfigError(
            f"{path.name}: soil moisture runs from {low:g} to {high:g}, which {units} cannot; set csv.units={other} if "
            "it is that, and leave missing values empty"
        )
    if units == "%" and high <= MOST:
        raise ConfigError(
            f"{path.name}: soil moisture of at most {high:g} % is too dry to be true; set csv.units=m3/m3 if it is that"
        )
    return values / 100 if units == "%" else values


def _told_units(path: Path, rows: pd.DataFrame, values: pd.Series[float]) -> str:
    column = next((name for name in UNIT_COLUMNS if name in rows), None)
    span = f"soil moisture runs from {values.min():g} to {values.max():g}"
    if column is None:
        raise ConfigError(f"{path.name}: {span}, and no column says its units; set csv.units=m3/m3 or csv.units=%")
    told = set(rows[column].str.strip())
    units = {SPELT.get(each.lower()) for each in told}
    if len(units) != 1 or None in units:
        raise ConfigError(
            f"{path.name}: the column {column} says {', '.join(sorted(told))}; write m3/m3 or % throughout, or set "
            "csv.units"
        )
    (found,) = units
    assert found is not None
    return found


def _temperature(path: Path, rows: pd.DataFrame, config: GroundTableConfig) -> pd.Series[float]:
    if config.temperature is None:
        return pd.Series(np.nan, rows.index)
    return read_numbers(path, config.temperature, rows[config.temperature])


def _sensors(path: Path, found: pd.DataFrame, wanted: Depth, *, daily: bool) -> Iterator[Sensor]:
    for (station, depth, name), rows in found.groupby(["station", "depth", "sensor"], sort=True):
        at = float(str(depth))
        if not is_within((at, at), wanted):
            continue
        own = rows.sort_values("time", kind="stable")
        if (twice := own["time"].duplicated()).any():
            when = str(own["time"][twice].iloc[0])[: 10 if daily else 19]
            raise DataError(
                f"{path}: station {station} has {when} twice at {at:g} m; name the column that tells its sensors apart "
                "(csv.sensor), or remove one"
            )
        place = float(own["longitude"].iloc[0]), float(own["latitude"].iloc[0])
        values = own["moisture"].to_numpy(float), own["temperature"].to_numpy(float)
        times = own["time"].to_numpy().astype("datetime64[D]" if daily else "datetime64[s]")
        refused, label = int(own["refused"].sum()), str(name) or f"{100 * at:g} cm"
        yield Sensor(str(station), label, *place, (at, at), times, *values, daily=daily, refused=refused)
