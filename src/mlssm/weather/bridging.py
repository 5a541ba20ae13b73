"""Short gaps in a record, where every station lacks a quantity, closed from the days around them.

A day that some station has is interpolated from that station, and nothing is done to it here. Where none has it, each
station's own value is drawn linearly from the day before the gap to the day after it, if the station's gap is short
enough and has both ends. Temperature, humidity and wind follow such a line for days; so does evapotranspiration, which
is made of them and lacks on the same days. Rain and snow do not, and are never made up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mlssm.weather.stations import VARIABLES, Days, Floats, StationWeather

BRIDGED = ("temperature", "min_temperature", "vapour_pressure", "wind", "evapotranspiration")
DAY = np.timedelta64(1, "D")


def bridge(weather: StationWeather, longest: int) -> StationWeather:
    """The record with its short gaps closed.

    Args:
        weather: The record.
        longest: Days of a station's gap that is closed, at most; 0: none is.

    Returns:
        The same record where nothing is closed; else a copy.
    """
    if longest == 0:
        return weather
    values = weather.values.copy()
    for name in BRIDGED:
        number = VARIABLES.index(name)
        lacking = np.isnan(values[:, :, number]).all(axis=1)
        if lacking.any():
            drawn = np.stack([_drawn(column, longest) for column in values[:, :, number].T], axis=1)
            values[lacking, :, number] = drawn[lacking]
    return dataclasses.replace(weather, values=values)


def _drawn(values: Floats, longest: int) -> Floats:
    """One station's days [D], short gaps that have both ends closed."""
    known, days = np.isfinite(values), np.arange(len(values))
    if not known.any():
        return values
    before = np.maximum.accumulate(np.where(known, days, -1))
    after = np.minimum.accumulate(np.where(known, days, len(days))[::-1])[::-1]
    closed = ~known & (before >= 0) & (after < len(days)) & (after - before - 1 <= longest)
    return np.where(closed, np.interp(days, days[known], values[known]), values)


def bridged_days(before: StationWeather, after: StationWeather) -> dict[str, Days]:
    """The days of each quantity that were closed, by its name; quantities without one are left out."""
    closed = np.asarray((np.isnan(before.values) & np.isfinite(after.values)).any(axis=1))
    days = {name: after.days[closed[:, VARIABLES.index(name)]] for name in BRIDGED}
    return {name: found for name, found in days.items() if len(found)}


def within(gaps: Mapping[str, Days], first: np.datetime64, last: np.datetime64) -> dict[str, Days]:
    """Those of the days that lie between two, both counted."""
    found = {name: days[(days >= first) & (days <= last)] for name, days in gaps.items()}
    return {name: days for name, days in found.items() if len(days)}


def named_days(gaps: Mapping[str, Days]) -> str:
    """Quantities and their days in words: `temperature on 2023-01-02 to 2023-01-04 and 2023-01-09`."""
    return "; ".join(f"{name.replace('_', ' ')} on {' and '.join(spans(days))}" for name, days in gaps.items())


def spans(days: npt.NDArray[np.datetime64]) -> list[str]:
    """Sorted days as runs: `2023-01-02 to 2023-01-04`, `2023-01-09`."""
    runs = np.split(days, np.flatnonzero(np.diff(days) > DAY) + 1)
    return [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
