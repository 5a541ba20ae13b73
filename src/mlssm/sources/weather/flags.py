"""What the columns beside a station's values say of them: flags, hours of observation, totals of several days.

`<element>_ATTRIBUTES` is "measurement,quality,source,time" (GHCN-Daily readme, section III). An observation is of the
24 hours that end at its time, local, and is dated by the day on which it was made: NOAA moves nothing. So of what a
gauge gave at 07:00, 17 hours belong to the day before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

NOON = 12.0


def has_quality_flag(lines: pd.DataFrame, column: str) -> pd.Series[bool]:
    """Which of a column's values have failed one of NOAA's checks: any quality flag says so."""
    return _attribute(lines, column, 1) != ""


def observation_hour(lines: pd.DataFrame, column: str) -> pd.Series[float]:
    """The local hour at which each value's 24 hours end, in (0, 24]; NaN where the file does not say.

    Midnight is written 2400, and 0000 here and there.
    """
    text = _attribute(lines, column, 3)
    clock = pd.to_numeric(text.where(text.str.fullmatch(r"\d{1,4}")), errors="coerce")
    hour = clock // 100 + clock % 100 / 60
    return hour.where((hour <= 24) & (clock % 100 < 60)).replace(0.0, 24.0)


def _attribute(lines: pd.DataFrame, column: str, position: int) -> pd.Series[str]:
    name = f"{column}_ATTRIBUTES"
    if name not in lines.columns:
        return pd.Series("", index=lines.index, dtype=str)
    fields = lines[name].str.split(",", expand=True)
    if position not in fields.columns:
        return pd.Series("", index=lines.index, dtype=str)
    return fields[position].fillna("").str.strip()


def to_the_day_before(rain: pd.Series[float], hour: pd.Series[float]) -> tuple[pd.Series[float], int, int]:
    """Date rain that was read in the morning by the day on which most of its 24 hours lie: the day before.

    Args:
        rain: By day of observation, mm, NaN = missing.
        hour: At which each one's 24 hours end, NaN = unknown: then the day stays.

    Returns:
        Rain by day, how many values have moved, and how many of these were left out, as the day before has a value of
        its own (where a station went over to the morning).
    """
    morning = (hour < NOON) & rain.notna()
    moved = rain[morning]
    moved.index = pd.DatetimeIndex(moved.index) - pd.Timedelta(days=1)
    kept = rain.mask(morning)
    free = kept.reindex(moved.index).isna().to_numpy()
    return moved[free].combine_first(kept), len(moved), int((~free).sum())


@dataclass(frozen=True)
class Total:
    """Rain of several days that was read at once.

    Attributes:
        last: The day on which it was read.
        days: All of its days.
        known: Whether the file says how many these are.
    """

    last: pd.Timestamp
    days: pd.DatetimeIndex
    known: bool


def totals_of_several_days(lines: pd.DataFrame, days: pd.DatetimeIndex) -> list[Total]:
    """The totals that a file has: MDPR of DAPR days, the day of the total being the last one.

    PRCP of these days is not a day's rain: GHCN-Daily leaves it empty, some exports do not.
    """
    totals = lines["MDPR"] if "MDPR" in lines.columns else pd.Series("", index=lines.index)
    lengths = lines["DAPR"] if "DAPR" in lines.columns else pd.Series("", index=lines.index)
    number = pd.to_numeric(lengths, errors="coerce").where(lambda length: length.between(1, 366))
    is_total = (pd.to_numeric(totals, errors="coerce").ge(0) | number.gt(1)).to_numpy()
    return [
        Total(day, pd.date_range(end=day, periods=int(length) if length > 0 else 1), bool(length > 0))
        for day, length in zip(days[is_total], number[is_total], strict=True)
    ]


def told_hours(hours: pd.Series[float]) -> str:
    """Hours as a clock shows them, e.g. 07:00 and 08:00."""
    found = np.unique(hours.dropna())
    return " and ".join(f"{int(hour):02d}:{round(hour % 1 * 60):02d}" for hour in found)
