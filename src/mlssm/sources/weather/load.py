"""From a folder of GHCN-Daily files to one checked record of all stations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles, OnBadFile, printable
from mlssm.sources.folder import refuse_unwritable_name
from mlssm.sources.weather.ghcn import StationRecord, read_station
from mlssm.sources.weather.places import LonLat, why_far
from mlssm.sources.weather.quality import StationQuality, check_quality
from mlssm.weather.evapotranspiration import (
    Calibration,
    DailyClimate,
    Method,
    calibrate_hargreaves,
    reference_evapotranspiration,
    vapour_pressure,
    wind_at_2m,
)
from mlssm.weather.stations import VARIABLES, StationWeather

log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".csv.gz")
MOST_TOLD = 5


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
        calibration: How the two methods were brought to one level.
        notes: What was corrected, moved or left out of the stations that were read, a line each.
        skipped: Names of the files that could not be read.
    """

    quality: tuple[StationQuality, ...]
    evapotranspiration: tuple[EvapotranspirationDays, ...]
    calibration: Calibration
    notes: tuple[str, ...]
    skipped: tuple[str, ...]


def load_weather(
    folder: Path, on_bad_file: OnBadFile, areas: Sequence[LonLat] = ()
) -> tuple[StationWeather, WeatherReport]:
    """Read, check and complete all station files of a folder.

    Args:
        folder: GHCN-Daily by-station files; see `station_files`.
        on_bad_file: What a bad file does: `error` stops, `skip` logs and counts it.
        areas: Longitude and latitude of the areas' middles, by which stations of another part of the world are known.

    Returns:
        The stations by file name on the days from the first to the last of any of them, and what happened on the way.

    Raises:
        DataError: The folder is missing or has no station file, a file is bad (see `read_station`), holds a station
            that another file has or one of another part of the world, or none is left.
    """
    files = station_files(folder)
    if not files:
        raise DataError(f"{folder}: no *.csv in the weather folder; put GHCN-Daily by-station files there")
    _tell_unused(folder, files)
    bad = BadFiles(on_bad_file)
    records, far = _read_all(files, bad, areas)
    if not records:
        raise DataError(
            f"{folder}: none of the {len(files)} station files can be used, {len(bad.skipped)} are bad, {len(far)} far "
            "away; see the warnings above"
        )
    checked = [check_quality(record) for record in records]
    climates = [_climate(record) for record, _ in checked]
    calibration = calibrate_hargreaves(climates)
    completed = [
        _complete(record, climate, calibration) for (record, _), climate in zip(checked, climates, strict=True)
    ]
    weather = _merge([record for record, _ in checked], [daily for daily, _ in completed])
    quality, days = tuple(report for _, report in checked), tuple(report for _, report in completed)
    notes = (*(f"{record.id}: {note}" for record in records for note in record.notes), *far, *_told(calibration))
    return weather, WeatherReport(quality, days, calibration, notes, tuple(bad.skipped))


def station_files(folder: Path) -> list[Path]:
    """The station files of a folder, by name: `*.csv` and `*.csv.gz`, in capital letters too; no hidden ones.

    Raises:
        DataError: The folder is missing or cannot be listed.
    """
    if not folder.is_dir():
        raise DataError(
            f"weather folder {folder} is missing: it does not exist, or is no folder; set datamodule.weather"
        )
    try:
        return sorted(path for path in folder.iterdir() if _is_station_file(path))
    except OSError as error:
        raise DataError(f"{folder}: the weather folder cannot be listed ({error}); let it be read") from error


def _is_station_file(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def _tell_unused(folder: Path, files: Sequence[Path]) -> None:
    """Name what lies in the folder, or below it, and is not read."""
    unused = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path not in files)
    unused = [printable(name) for name in unused if not (folder / name).is_dir()]
    if unused:
        more = f" and {len(unused) - MOST_TOLD} more" if len(unused) > MOST_TOLD else ""
        log.warning(
            "%s: %d files are not used, as only *.csv and *.csv.gz of the folder itself are: %s%s",
            *(folder, len(unused), ", ".join(unused[:MOST_TOLD]), more),
        )


def _read_all(files: Sequence[Path], bad: BadFiles, areas: Sequence[LonLat]) -> tuple[list[StationRecord], list[str]]:
    """The stations near the areas, and a line on each that is not."""
    records: list[StationRecord] = []
    far: list[str] = []
    for path in files:
        with bad.handled(path):
            refuse_unwritable_name(path)
            record = read_station(path)
            if record.id in {other.id for other in records}:
                raise DataError(f"{path}: station {record.id} is in another file too; remove one of the files")
            reason = why_far(path, record.longitude, record.latitude, areas)
            if reason is None:
                records.append(record)
            else:
                far.append(reason)
            for note in record.notes if reason is None else (reason,):
                log.warning("%s: %s", path, note)
    return records, far


def _told(calibration: Calibration) -> tuple[str, ...]:
    """A line on how Hargreaves was brought to FAO-56's level."""
    if calibration.factor is not None:
        line = f"Hargreaves is multiplied by {calibration.factor:.3f}, the ratio on {calibration.days} days with FAO-56"
    elif calibration.days:
        line = f"only {calibration.days} days allow FAO-56: all evapotranspiration is Hargreaves'"
    else:
        return ()
    log.info(line)
    return (line,)


def _complete(
    record: StationRecord, climate: DailyClimate, calibration: Calibration
) -> tuple[pd.DataFrame, EvapotranspirationDays]:
    """The station's `VARIABLES` on its own days, and how its evapotranspiration was found."""
    found = reference_evapotranspiration(climate, calibration)
    observed = [name for name in record.observations if name in VARIABLES]
    daily = record.observations[observed].assign(
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
    return daily[list(VARIABLES)], days


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


def _merge(records: list[StationRecord], values: list[pd.DataFrame]) -> StationWeather:
    """All stations on the days from the first to the last of any."""
    first, last = min(daily.index[0] for daily in values), max(daily.index[-1] for daily in values)
    axis = pd.date_range(first, last, freq="D")
    return StationWeather(
        days=axis.to_numpy().astype("datetime64[D]"),
        ids=tuple(record.id for record in records),
        longitude=np.array([record.longitude for record in records]),
        latitude=np.array([record.latitude for record in records]),
        elevation_m=np.array([record.elevation_m for record in records]),
        values=np.stack([daily.reindex(axis).to_numpy(dtype=np.float64) for daily in values], axis=1),
    )
