"""When the values of a gridded file are of: local days, or steps that end at a time in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from mlssm.config.weather_source import WeatherTime
from mlssm.errors import DataError
from mlssm.sources.weather.grid_names import Producer
from mlssm.sources.weather.hours import step_of
from mlssm.sources.weather.site import Site
from mlssm.weather.stations import Floats

Accumulated = Literal["hour", "since_midnight", "since_start"]
Stamps = npt.NDArray[np.datetime64]
DAY, HOUR = np.timedelta64(1, "D"), np.timedelta64(1, "h")
LEAST_RISES, MOST_FALLS = 20, 0.001
# at which hour UTC a producer's days end
DAY_ENDS = {"PRISM": 12.0, "IMERG": 24.0, "ERA5-Land": 24.0}


@dataclass(frozen=True)
class Axis:
    """The time axis of a file.

    Attributes:
        name: Its dimension; None where the file is of one time, which has no dimension.
        stamps: As the file has them, datetime64[s] [T].
        bounds: Begin and end of each, where the file has them [T, 2].
        note: What is to be said of its calendar.
    """

    name: str | None
    stamps: Stamps
    bounds: Stamps | None
    note: str | None = None


def axis_of(dataset: xr.Dataset, path: Path, producer: Producer) -> Axis | None:
    """The time axis of a file; None where it has none, as one of heights.

    Raises:
        DataError: It has no time, or one that is missing, or its calendar has days that do not exist.
    """
    name = _time_name(dataset)
    if name is None:
        return _from_name(path)
    times = dataset[name]
    if times.size == 0 or bool(times.isnull().any()):
        raise DataError(f"{path}: {name} is empty, or has a time that is missing; replace the file")
    stamps, note = _stamps(np.atleast_1d(times.to_numpy()), dataset, path, producer)
    dims = times.dims
    bounds = dataset.get(str(times.attrs.get("bounds", times.encoding.get("bounds", ""))))
    edges = None
    if bounds is not None and bounds.ndim == len(dims) + 1 and note is None:
        edges = bounds.to_numpy().reshape(-1, 2)
        edges = edges.astype("datetime64[s]") if np.issubdtype(edges.dtype, np.datetime64) else None
    return Axis(str(dims[0]) if dims else None, stamps, edges, note)


def _time_name(dataset: xr.Dataset) -> str | None:
    """The coordinate of times: `valid_time` of a forecast comes before the time at which it was begun."""
    found = [str(name) for name in dataset.variables if _is_time(dataset[name]) and dataset[name].ndim <= 1]
    ranked = sorted(found, key=lambda name: (name != "valid_time", dataset[name].ndim == 0, name != "time"))
    return next((name for name in ranked if name in dataset.coords), None)


def _is_time(values: xr.DataArray) -> bool:
    if np.issubdtype(values.dtype, np.datetime64):
        return True
    return bool(values.dtype == object and values.size and hasattr(values.to_numpy().flat[0], "calendar"))


def _from_name(path: Path) -> Axis | None:
    """The day in a file's name, as of PRISM's and MRMS's grids of one time."""
    found = re.findall(r"(?<!\d)((?:19|20)\d{2}[01]\d[0-3]\d)(?!\d)", path.name)
    if len(set(found)) != 1:
        return None
    day = pd.to_datetime(found[0], format="%Y%m%d", errors="coerce")
    return None if pd.isna(day) else Axis(None, np.array([day], "datetime64[s]"), None, "its day is that of its name")


def _stamps(
    raw: npt.NDArray[np.generic], dataset: xr.Dataset, path: Path, producer: Producer
) -> tuple[Stamps, str | None]:
    """Times of the calendar that we live by, and a line if the file's is another one."""
    if np.issubdtype(raw.dtype, np.datetime64):
        return raw.astype("datetime64[s]"), None
    calendar = str(raw.flat[0].calendar)  # type: ignore[attr-defined]
    if calendar == "360_day":
        raise DataError(f"{path}: its calendar has 360 days a year, which no observation has; convert it")
    if producer == "Daymet" and "yearday" in dataset:
        # its day of the year is of the true calendar, in which leap years lack their last day
        years = np.array([time.year for time in raw])
        first = np.array([f"{year:04d}-01-01" for year in years], "datetime64[D]")
        days = first + (np.atleast_1d(dataset["yearday"].to_numpy()).astype(int) - 1) * DAY
        return days.astype("datetime64[s]"), "Daymet's years have 365 days: 31 December of leap years is missing"
    text = [f"{time.year:04d}-{time.month:02d}-{time.day:02d}T{time.hour:02d}:{time.minute:02d}" for time in raw]
    return np.array(text, "datetime64[s]"), f"its calendar is {calendar}: 29 February is missing"


def is_daily(stamps: Stamps, where: str) -> bool:
    """Whether times are days apart; a single one is of a day.

    Raises:
        DataError: Steps are longer than 6 hours and no days.
    """
    unique = np.unique(stamps)
    return len(unique) < 2 or step_of(unique, where) > 20


def local_days(axis: Axis, time: WeatherTime, producer: Producer, site: Site) -> tuple[Stamps, tuple[str, ...]]:
    """The local day of each of a daily file's times: the one that has most of its 24 hours.

    Args:
        axis: Of daily values.
        time: What the settings say of when days end.
        producer: Whose file it is.
        site: The extents' time zone.

    Returns:
        datetime64[D] [T], and what is to be said.
    """
    days = axis.stamps.astype("datetime64[D]")
    if time.day_ends == "local" or (time.day_ends is None and producer == "Daymet"):
        return days, ("its days are taken for local ones",)
    ends, how = _ends(axis, days, time, producer)
    middle = pd.DatetimeIndex(ends - 12 * HOUR).tz_localize("UTC").tz_convert(site.zone).tz_localize(None)
    found = middle.to_numpy().astype("datetime64[D]")
    clock = pd.Timestamp(ends[0]).tz_localize("UTC").tz_convert(site.zone)
    hour = clock.hour + clock.minute / 60
    moved = "dated by the day before" if (found < days).any() else "dated by that day"
    line = (
        f"its days end at {pd.Timestamp(ends[0]):%H:%M} UTC ({how}), which is {clock:%H:%M} local: "
        f"{max(hour, 24 - hour):.0f} of 24 hours are of one local day; {moved}"
    )
    return found, (line,)


def _ends(axis: Axis, days: Stamps, time: WeatherTime, producer: Producer) -> tuple[Stamps, str]:
    """When each day ends, UTC, and how that is known."""
    if isinstance(time.day_ends, float):
        return _at(days, time.day_ends), "as set"
    if time.stamp == "end" or (time.stamp is None and axis.bounds is None and producer == "MRMS"):
        return axis.stamps, "as its times"
    if time.stamp == "begin":
        return axis.stamps + DAY, "as its times are the days' beginnings"
    if axis.bounds is not None and ((axis.bounds[:, 1] - axis.bounds[:, 0]) == DAY).all():
        return axis.bounds[:, 1], "by its bounds"
    if producer in DAY_ENDS:
        return _at(days, DAY_ENDS[producer]), f"as {producer}'s"
    return _at(days, 24.0), "taken for granted, as the file does not say; datamodule.weather.time.day_ends says else"


def _at(days: Stamps, hour: float) -> Stamps:
    return np.asarray(days.astype("datetime64[s]") + np.timedelta64(round(hour * 3600), "s"), "datetime64[s]")


def ends_of(axis: Axis, step: float, time: WeatherTime, producer: Producer) -> tuple[Stamps, tuple[str, ...]]:
    """When each step of a file ends, UTC, and what is to be said."""
    if time.stamp is None and axis.bounds is not None:
        return axis.bounds[:, 1], ()
    length = np.timedelta64(round(step * 3600), "s")
    if time.stamp == "begin" or (time.stamp is None and producer == "IMERG"):
        return axis.stamps + length, ("its times are the beginnings of their steps",)
    told = () if time.stamp else ("its times are taken for the ends of their steps",)
    return axis.stamps, told


def accumulated(ends: Stamps, values: Floats, where: str) -> Accumulated:
    """Since when hourly sums run on: within a day they never fall, and from one day to the next they do, or do not.

    Args:
        ends: UTC, ascending [T].
        values: Sums [T, C].
        where: File and variable, for messages.

    Raises:
        DataError: So little rises that it cannot be told.
    """
    same = _day_of_sum(ends[1:]) == _day_of_sum(ends[:-1])
    change = np.diff(values, axis=0)
    least = 1e-4 * max(float(np.nanmax(values, initial=0.0)), 1e-9)
    up, down = int((change[same] > least).sum()), int((change[same] < -least).sum())
    if down > MOST_FALLS * up or up == 0:
        return "hour"
    if up < LEAST_RISES:
        raise DataError(
            f"{where}: too little rises to tell whether its sums are of the hour or since midnight UTC; set "
            "datamodule.weather.time.accumulated"
        )
    overnight = change[~same & (values[:-1] > least).any(axis=1)]
    goes_on = overnight.size > 0 and not (overnight < -least).any()
    return "since_start" if goes_on else "since_midnight"


def of_the_hour(ends: Stamps, step: float, values: Floats, since: Accumulated) -> Floats:
    """Sums of each step from sums that run on (ERA5-Land: that of 00:00 is of the whole day before).

    Args:
        ends: UTC, ascending [T].
        step: Hours.
        values: Sums [T, C].
        since: When they begin.

    Returns:
        Sums of the steps, NaN where the one before is missing [T, C].
    """
    if since == "hour":
        return values
    length = np.timedelta64(round(step * 3600), "s")
    follows = np.r_[False, np.diff(ends) == length]
    first = np.r_[True, np.zeros(len(ends) - 1, bool)]
    if since == "since_midnight":
        days = _day_of_sum(ends)
        follows &= np.r_[False, days[1:] == days[:-1]]
        first = ends - days.astype("datetime64[s]") == length
    before = np.where(follows[:, None], np.vstack([np.full(values.shape[1:], np.nan), values[:-1]]), np.nan)
    before = np.where(first[:, None], 0.0, before)
    # packing leaves tiny steps down
    least = 1e-4 * max(float(np.nanmax(values, initial=0.0)), 1e-9)
    found = values - before
    return np.asarray(np.where((found < 0) & (found > -least), 0.0, found), dtype=np.float64)


def _day_of_sum(ends: Stamps) -> Stamps:
    """The day whose midnight a sum runs since: midnight itself is the day before's end."""
    return (ends - np.timedelta64(1, "s")).astype("datetime64[D]")
