"""From a folder of GHCN-Daily files to one checked record of all stations."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.ghcn import StationRecord, read_station
from mlssm.sources.station_quality import StationQuality, check_quality
from mlssm.weather.evapotranspiration import (
    DailyClimate,
    Method,
    reference_evapotranspiration,
    vapour_pressure,
    wind_at_2m,
)
from mlssm.weather.stations import VARIABLES, StationWeather

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvapotranspirationDays:
    """By which method a station's evapotranspiration was found, in days.

    Attributes:
        station: The station's name.
        fao56: FAO-56 Penman-Monteith, its radiation estimated by FAO-56 eq. 50.
        hargreaves: Hargreaves.
        missing: None, as a temperature is missing.
    """

    station: str
    fao56: int
    hargreaves: int
    missing: int


@dataclass(frozen=True)
class WeatherReport:
    """What happened to a folder's files.

    Attributes:
        quality: Rejected values of each station.
        evapotranspiration: Methods of each station.
        skipped: Names of the files that could not be read.
    """

    quality: tuple[StationQuality, ...]
    evapotranspiration: tuple[EvapotranspirationDays, ...]
    skipped: tuple[str, ...]


def load_weather(folder: Path, on_bad_file: Literal["error", "skip"]) -> tuple[StationWeather, WeatherReport]:
    """Read, check and complete all `*.csv` of a folder.

    Args:
        folder: GHCN-Daily by-station files.
        on_bad_file: What a bad file does: `error` stops, `skip` logs and counts it.

    Returns:
        The stations by file name on the days from the first to the last of any of them, and what happened on the way.

    Raises:
        DataError: The folder is missing or has no `*.csv`, a file is bad (see `read_station`) or holds a station that
            another file has, or none is left.
    """
    records, skipped = _read_all(_files(folder), on_bad_file)
    if not records:
        raise DataError(f"{folder}: none of the {len(skipped)} station files can be read; see the warnings above")
    checked = [check_quality(record) for record in records]
    completed = [_complete(record) for record, _ in checked]
    weather = _merge([record for record, _ in checked], [table for table, _ in completed])
    quality, days = tuple(report for _, report in checked), tuple(report for _, report in completed)
    return weather, WeatherReport(quality, days, tuple(skipped))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: the weather folder does not exist; set datamodule.weather")
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise DataError(f"{folder}: no *.csv in the weather folder; put GHCN-Daily by-station files there")
    return files


def _read_all(files: list[Path], on_bad_file: Literal["error", "skip"]) -> tuple[list[StationRecord], list[str]]:
    records: list[StationRecord] = []
    skipped: list[str] = []
    for path in files:
        try:
            record = read_station(path)
            if record.id in {other.id for other in records}:
                raise DataError(f"{path}: station {record.id} is in another file too; remove one of the files")
        except DataError as error:
            if on_bad_file == "error":
                raise
            log.warning("skipped: %s", error)
            skipped.append(path.name)
        else:
            records.append(record)
    return records, skipped


def _complete(record: StationRecord) -> tuple[pd.DataFrame, EvapotranspirationDays]:
    """The station's `VARIABLES` on its own days, and how its evapotranspiration was found."""
    climate = _climate(record)
    found = reference_evapotranspiration(climate)
    table = record.observations[["precipitation", "wind", "snow_depth"]].assign(
        evapotranspiration=found.mm_per_day,
        temperature=(climate.max_temperature + climate.min_temperature) / 2,
        vapour_pressure=climate.vapour_pressure,
    )
    days = EvapotranspirationDays(
        record.id, *(found.days_by(method) for method in (Method.FAO56, Method.HARGREAVES, Method.MISSING))
    )
    log.info(
        "%s: evapotranspiration by FAO-56 (radiation from eq. 50) on %d days, Hargreaves on %d, missing on %d",
        *(days.station, days.fao56, days.hargreaves, days.missing),
    )
    return table[list(VARIABLES)], days


def _climate(record: StationRecord) -> DailyClimate:
    element = {str(name): column.to_numpy(dtype=np.float64) for name, column in record.observations.items()}
    tmax, tmin = element["max_temperature"], element["min_temperature"]
    return DailyClimate(
        days=record.observations.index.to_numpy().astype("datetime64[D]"),
        max_temperature=tmax,
        min_temperature=tmin,
        vapour_pressure=vapour_pressure(tmax, tmin, element["relative_humidity"]),
        wind_2m=wind_at_2m(element["wind"]),
        latitude=record.latitude,
        elevation_m=record.elevation_m,
    )


def _merge(records: list[StationRecord], tables: list[pd.DataFrame]) -> StationWeather:
    """All stations on the days from the first to the last of any."""
    first, last = min(table.index[0] for table in tables), max(table.index[-1] for table in tables)
    axis = pd.date_range(first, last, freq="D")
    return StationWeather(
        days=axis.to_numpy().astype("datetime64[D]"),
        ids=tuple(record.id for record in records),
        longitude=np.array([record.longitude for record in records]),
        latitude=np.array([record.latitude for record in records]),
        elevation_m=np.array([record.elevation_m for record in records]),
        values=np.stack([table.reindex(axis).to_numpy(dtype=np.float64) for table in tables], axis=1),
    )
