"""From a folder of weather to one checked record of all stations."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from mlssm.config.weather_source import WeatherSource
from mlssm.sources.faults import BadFiles, OnBadFile
from mlssm.sources.weather.complete import EvapotranspirationDays, climate_of, complete
from mlssm.sources.weather.forecast import last_observed, with_forecast
from mlssm.sources.weather.quality import StationQuality, check_quality
from mlssm.sources.weather.readers import read_folder
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.site import Site
from mlssm.weather.evapotranspiration import Calibration, calibrate_hargreaves
from mlssm.weather.stations import StationWeather

log = logging.getLogger(__name__)

Counts = TypeVar("Counts", StationQuality, EvapotranspirationDays)


@dataclass(frozen=True)
class WeatherReport:
    """What happened to a folder's files.

    Attributes:
        quality: Rejected values of each station.
        evapotranspiration: Methods of each station.
        calibration: How the two methods were brought to one level.
        notes: What was corrected, moved or left out of the stations that were read, a line each.
        skipped: Names of the files that could not be read.
        last_observed: The last day of the record; what follows is forecast.
        closing_hour: Local hour at which the days of hourly stations end, 1..24; None where no station is hourly.
    """

    quality: tuple[StationQuality, ...]
    evapotranspiration: tuple[EvapotranspirationDays, ...]
    calibration: Calibration
    notes: tuple[str, ...]
    skipped: tuple[str, ...]
    last_observed: dt.date
    closing_hour: int | None = None


def load_weather(
    root: Path, source: WeatherSource, on_bad_file: OnBadFile, site: Site | None = None
) -> tuple[StationWeather, WeatherReport]:
    """Read, check and complete all stations of a weather folder, and of its forecast.

    Args:
        root: The area's folder.
        source: The weather's folder, and what is known of its files.
        on_bad_file: What a bad file does: `error` stops, `skip` logs and counts it.
        site: The extents, by which stations of another part of the world are known; None: none is far.

    Returns:
        The stations by file name on the days from the first to the last of any of them, and what happened on the way.

    Raises:
        DataError: See `readers.read_folder`; or a forecast has no day that follows the record.
    """
    site = site or Site()
    bad = BadFiles(on_bad_file)
    records, far = read_folder(root, source, site, bad)
    hourly = any(record.hourly for record in records)
    if hourly:
        far = (*far, *site.lines)
        for line in site.lines:
            log.warning(line)
    pairs = [check_quality(record) for record in records]
    checked, counts = [record for record, _ in pairs], [count for _, count in pairs]
    last = last_observed(checked)
    calibration = calibrate_hargreaves([climate_of(record) for record in checked])
    if source.forecast is not None:
        future, beyond = read_folder(root, source.forecast, site, bad)
        pairs = [check_quality(record) for record in future]
        checked, line = with_forecast(checked, [record for record, _ in pairs], last)
        counts, far = [*counts, *(count for _, count in pairs)], (*far, *beyond, line)
    completed = [complete(record, climate_of(record), calibration) for record in checked]
    weather = _merge(checked, [daily for daily, _ in completed])
    report = WeatherReport(
        quality=tuple(told_together(counts)),
        evapotranspiration=tuple(told_together(days for _, days in completed)),
        calibration=calibration,
        notes=(*_notes(checked), *far, *_told(calibration)),
        skipped=tuple(bad.skipped),
        last_observed=last.date(),
        closing_hour=site.hour if hourly else None,
    )
    groups = {record.group for record in checked}
    for quality in report.quality:
        if quality.rejected and quality.station in groups:
            log.warning(quality.told())
    for days in report.evapotranspiration:
        log.info(days.told())
    return weather, report


def told_together(reports: Iterable[Counts]) -> list[Counts]:
    """Counts of stations, and those of a grid summed over its cells."""
    found: dict[str, Counts] = {}
    for report in reports:
        other = found.get(report.station)
        if other is None:
            found[report.station] = report
        else:
            names = [item.name for item in fields(report) if item.name != "station"]
            total = {name: getattr(report, name) + getattr(other, name) for name in names}
            found[report.station] = replace(report, **total)
    return list(found.values())


def _notes(records: Sequence[StationRecord]) -> list[str]:
    """The stations' notes, and those of a grid once for all of its cells."""
    lines = (f"{record.group or record.id}: {note}" for record in records for note in record.notes)
    return list(dict.fromkeys(lines))


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
