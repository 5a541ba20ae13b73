"""Antecedent windows: which local days an image answers to, and the station values over them. Pure functions."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from mlssm.variables import of_kind
from mlssm.weather.stations import Days, Floats, StationWeather

NOON = dt.time(12)


def window_end(acquired_local: dt.datetime) -> dt.date:
    """The last day of an image's window.

    Args:
        acquired_local: Acquisition in the area's local time.

    Returns:
        The local day if the pass is at or after 12:00, else the day before: a 6 a.m. pass has not seen that day's rain.
    """
    day = acquired_local.date()
    return day if acquired_local.time() >= NOON else day - dt.timedelta(days=1)


def antecedent(
    weather: StationWeather, ends: Days, lag: int, mode: Literal["sequence", "aggregate"], min_coverage: float
) -> Floats:
    """The station values over the `lag` days that end with each of `ends`.

    Args:
        weather: The stations' record; days outside it are missing.
        ends: The windows' last local days, datetime64[D] [N].
        lag: Days in a window, >= 1.
        mode: `sequence` gives the days one by one, oldest first, each as it is. `aggregate` gives one step:
            precipitation and evapotranspiration are summed, a sum over a window with missing days being scaled to the
            whole window by lag / present days; the other variables are averaged over the present days.
        min_coverage: Share of the window's days that a station must have of a variable to count in an aggregate,
            0 < share <= 1; otherwise its value is NaN. A sequence needs none: a missing day is NaN, the others stay.

    Returns:
        Float64 [N, T, S, V], T = lag for a sequence and 1 for an aggregate, in the order of `VARIABLES`; NaN = missing.
        Units are those of `mlssm.variables`, except that an aggregate's sums are mm a window.

    Raises:
        ValueError: `lag` is below 1.
    """
    if lag < 1:
        raise ValueError(f"lag {lag} is below 1 day")
    days = _window_days(weather, ends, lag)
    return days if mode == "sequence" else _aggregate(days, min_coverage)


def _window_days(weather: StationWeather, ends: Days, lag: int) -> Floats:
    """Each window's days, oldest first [N, lag, S, V]."""
    last = (np.asarray(ends, dtype="datetime64[D]") - weather.days[0].astype("datetime64[D]")).astype(np.int64)
    index = last[:, None] + np.arange(1 - lag, 1)
    inside = (index >= 0) & (index < len(weather.days))
    days = weather.values[np.where(inside, index, 0)]
    days[~inside] = np.nan
    return days


def _aggregate(days: Floats, min_coverage: float) -> Floats:
    """Sums and means over the present days [N, 1, S, V]."""
    lag = days.shape[1]
    present = np.isfinite(days)
    count = present.sum(axis=1, keepdims=True)
    # the small number keeps e.g. 0.55 * 20 = 11.000000000000002 from asking for a twelfth day
    enough = (count > 0) & (count >= min_coverage * lag - 1e-9)
    total = np.where(present, days, 0.0).sum(axis=1, keepdims=True)
    count = np.where(enough, count, np.nan)
    summed = np.array([item.summed for item in of_kind("daily")])
    aggregate: Floats = np.where(summed, total * (lag / count), total / count)
    return aggregate


def antecedent_precipitation_index(rain: npt.NDArray[np.floating], decay_days: float = 3.0) -> Floats:
    """The antecedent precipitation index: api_d = rain_d + exp(-1 / decay_days) api_(d-1).

    Kohler & Linsley 1951, Predicting the runoff from storm rainfall, US Weather Bureau Research Paper 34. A missing day
    counts as 0 and so does what lies before the record: that is how the yardstick defines it.

    Args:
        rain: Daily rain of consecutive days, mm, NaN = missing [D].
        decay_days: Days after which 1/e of a rain is left, > 0.

    Returns:
        The index at the end of each day, mm [D].

    Raises:
        ValueError: Rain is not one row of finite or missing values >= 0, or the decay is not above 0.
    """
    daily = np.where(np.isnan(rain), 0.0, rain)
    if daily.ndim != 1 or not np.isfinite(daily).all() or (daily < 0).any() or not decay_days > 0:
        raise ValueError("rain must be one row of finite values >= 0 mm, and decay_days greater than 0")
    return np.asarray(lfilter([1.0], [1.0, -np.exp(-1.0 / decay_days)], daily), dtype=np.float64)
