"""At which hour the days of hourly weather end, and which day an hour belongs to. Pure functions.

A day of a daily station ends at midnight, or when somebody reads the gauge. Hours can be summed to days that end when
the satellite passes, so that a window holds what fell before the image and nothing of what fell after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.weather.stations import Days, Floats

MIDNIGHT = 24
NOON = 12
APART_HOURS = 1.0


def closing_hour(passes: Mapping[int, Sequence[dt.datetime]]) -> tuple[int, tuple[str, ...]]:
    """The local hour at which the days of hourly weather end: that of the passes, rounded down.

    There is one record for all images. Where relative orbits pass at hours more than one apart, the orbit with most
    images gives the hour, and a line says how long before their images the windows of the others end. The latest full
    hour that no pass of the orbit precedes is taken, so that no rain of after the image counts.

    Args:
        passes: Local acquisition times of each relative orbit.

    Returns:
        Hour, 1..24, and what is to be said, a line each.
    """
    if not passes:
        return MIDNIGHT, ()
    times = {orbit: np.array([_hours(time) for time in found]) for orbit, found in passes.items()}
    most = max(times, key=lambda orbit: (len(times[orbit]), orbit))
    middle = circular_mean(times[most])
    near = {orbit for orbit, hours in times.items() if abs(_apart(circular_mean(hours), middle)) <= APART_HOURS}
    early = min(float(_apart(hour, middle)) for orbit in near for hour in times[orbit])
    hour = int(np.floor((middle + max(early, -APART_HOURS) + 1e-9) % 24)) or MIDNIGHT
    lines = [_told(orbit, times[orbit], hour) for orbit in sorted(set(times) - near)]
    return hour, (f"days of hourly weather end at {hour:02d}:00 local, when most images are taken", *lines)


def _told(orbit: int, hours: Floats, hour: int) -> str:
    """How far the windows of an orbit end from its images."""
    middle = circular_mean(hours)
    early = (middle - hour) % 24
    return (
        f"the {len(hours)} images of orbit {orbit} are taken at {middle:.1f} h: their windows end {early:.0f} h before"
    )


def _hours(time: dt.datetime) -> float:
    return time.hour + time.minute / 60 + time.second / 3600


def circular_mean(hours: Floats) -> float:
    """The mean of clock times, hours 0..24; of 23 and 1 it is 0."""
    angle = np.angle(np.exp(2j * np.pi * hours / 24).mean())
    return float(angle / (2 * np.pi) * 24 % 24)


def _apart(hour: float, other: float) -> float:
    """Hours from one clock time to another, -12..12."""
    return (hour - other + 12) % 24 - 12


def day_of(ends_local: pd.DatetimeIndex, hour: int) -> Days:
    """The day that an hour belongs to: the one that has most of the 24 hours which close at `hour`.

    A day that closes at noon or later has its own name; one that closes in the morning that of the day before, as the
    windows of morning passes end with the day before.

    Args:
        ends_local: Ends of the hours, local clock, without a zone [T].
        hour: At which days close, 1..24.

    Returns:
        datetime64[D] [T].
    """
    shifted = ends_local - pd.Timedelta(hours=hour)
    days = shifted.ceil("D").to_numpy().astype("datetime64[D]")
    return np.asarray(days if hour >= NOON else days - np.timedelta64(1, "D"), "datetime64[D]")


def last_closed(acquired_local: dt.datetime, hour: int) -> dt.date:
    """The last day of hourly weather that had closed when an image was taken, named as by `day_of`.

    Args:
        acquired_local: Acquisition in the area's local time.
        hour: At which days close, 1..24.
    """
    day = (acquired_local.replace(tzinfo=None) - dt.timedelta(hours=hour)).date()
    return day if hour >= NOON else day - dt.timedelta(days=1)


def lengths(days: Days, hour: int, zone: ZoneInfo) -> Floats:
    """Hours that each day has: 24, but 23 and 25 where clocks change.

    Args:
        days: datetime64[D] [D].
        hour: At which days close, 1..24.
        zone: The area's.
    """
    first = days if hour < NOON else days - np.timedelta64(1, "D")

    def closed(offset: int) -> npt.NDArray[np.datetime64]:
        clock = pd.DatetimeIndex(first + np.timedelta64(offset, "D")) + pd.Timedelta(hours=hour)
        utc = clock.tz_localize(zone, ambiguous=np.zeros(len(clock), bool), nonexistent="shift_forward")
        return utc.tz_convert("UTC").tz_localize(None).to_numpy()

    return np.asarray((closed(1) - closed(0)) / np.timedelta64(1, "h"), dtype=np.float64)
