"""The days or times of a table: how they are written, in which zone, and whether they are of days or of hours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from mlssm.config.weather_source import WeatherTime
from mlssm.errors import ConfigError, DataError
from mlssm.sources.weather.dates import FIRST_YEAR, LAST_YEAR, read_days

END_OF_DAY = re.compile(r"(?:^|[T ]|(?<=^\d{8}))24:?00(?::?00)?(?=$|[+\-Z])")
OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
SHIFTED = re.compile(r".*\d(Z|[+-]\d{2}:?\d{2})")


@dataclass(frozen=True)
class Times:
    """When the lines of a table are of.

    Attributes:
        stamps: Local days, or times in UTC as they are written; NaT where a local hour does not exist or is there
            twice on the day on which clocks change [T].
        daily: Whether they are days.
        notes: What is to be said, a line each.
    """

    stamps: pd.DatetimeIndex
    daily: bool
    notes: tuple[str, ...]


def read_times(path: Path, lines: pd.DataFrame, time: WeatherTime, zone: ZoneInfo) -> Times:
    """The days or times of a table's lines.

    24:00 is the midnight at a day's end. What has a clock time other than midnight in any line is hourly.

    Args:
        path: The file, for messages.
        lines: Text, columns in capital letters.
        time: Which columns they are, and how they are written.
        zone: The area's, which `local` stands for.

    Raises:
        DataError: A column is missing, or a line holds no time, or which day it is is not certain.
        ConfigError: The zone is none.
    """
    missing = [name for name in time.columns if name.upper() not in lines.columns]
    if missing:
        raise DataError(
            f"{path}: no column {missing[0]}; it has {', '.join(lines.columns)}: say which one has the days in "
            "datamodule.weather.time.columns"
        )
    text = lines[time.columns[0].upper()]
    if len(time.columns) == 2:
        text = text + " " + lines[time.columns[1].upper()]
    if time.format is None and not text.str.contains(":", regex=False).any():
        days, note = read_days(path, text)
        return Times(days, True, tuple(filter(None, [note])))
    clock = _clock(path, text, time)
    if clock.tz is None and (clock == clock.normalize()).all():
        return Times(clock, True, ())
    utc, notes = _utc(clock, time, zone)
    return Times(utc, False, notes)


def _clock(path: Path, text: pd.Series[str], time: WeatherTime) -> pd.DatetimeIndex:
    """Times as written; in UTC where they have an offset of their own."""
    late = text.str.contains(END_OF_DAY)
    plain = text.where(~late, text.str.replace(END_OF_DAY, lambda found: _midnight(found), regex=True))
    shifted = plain.str.fullmatch(SHIFTED)
    offset = bool(shifted.all())
    if shifted.any() and not offset:
        line = text.index[int(np.argmin(shifted))]
        raise DataError(f"{path}, line {line}: {text[line]!r} has no offset from UTC, and other lines have one; add it")
    parsed = pd.to_datetime(plain, format=time.format or "ISO8601", errors="coerce", utc=offset)
    if parsed.isna().any() or not isinstance(parsed.dtype, np.dtype | pd.DatetimeTZDtype):
        line = parsed.index[parsed.isna()][0] if parsed.isna().any() else parsed.index[0]
        how = (
            f"as {time.format}"
            if time.format
            else "as ISO 8601; say how it is written in datamodule.weather.time.format"
        )
        raise DataError(f"{path}, line {line}: {text[line]!r} is no time {how}")
    stamps = pd.DatetimeIndex(parsed) + pd.to_timedelta(late.to_numpy().astype(int), unit="D")
    beyond = (stamps.year < FIRST_YEAR) | (stamps.year > LAST_YEAR)
    if beyond.any():
        line = text.index[int(np.argmax(beyond))]
        raise DataError(f"{path}, line {line}: {text[line]} is not in {FIRST_YEAR}..{LAST_YEAR}; correct the year")
    return stamps


def _midnight(found: re.Match[str]) -> str:
    return found.group().replace("24", "00", 1)


def _utc(clock: pd.DatetimeIndex, time: WeatherTime, zone: ZoneInfo) -> tuple[pd.DatetimeIndex, tuple[str, ...]]:
    if clock.tz is not None:
        return clock.tz_convert("UTC").tz_localize(None), ()
    if match := OFFSET.fullmatch(time.zone):
        sign = -1 if match[1] == "-" else 1
        return clock - sign * pd.Timedelta(hours=int(match[2]), minutes=int(match[3])), ()
    own = zone if time.zone == "local" else _zone(time.zone)
    local = clock.tz_localize(own, ambiguous="NaT", nonexistent="NaT")
    lost = int(np.sum(local.isna()))
    notes = [f"times are read as {'UTC' if own.key == 'UTC' else f'local time of {own.key}, with its summer time'}"]
    if lost:
        notes.append(f"{lost} lines are of the hours at which clocks change, which are not certain: left out")
    return local.tz_convert("UTC").tz_localize(None), tuple(notes)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"datamodule.weather.time.zone={name} is none; use local, UTC, an IANA name, or an offset such as -08:00"
        ) from None
