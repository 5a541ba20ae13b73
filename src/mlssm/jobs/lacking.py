"""Why days cannot be mapped: the first quantity and day that lack."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from mlssm.data.assemble import all_moments, has_weather
from mlssm.data.features import RAIN
from mlssm.inference.mapper import Days, Mapper, missing_everywhere, window_end
from mlssm.inference.opened import Opened
from mlssm.jobs.day_map import bridged_in
from mlssm.variables import is_of_kind
from mlssm.weather.bridging import named_days, spans
from mlssm.weather.stations import VARIABLES

log = logging.getLogger(__name__)

# what NOAA's files call what a quantity is made of
ELEMENTS = {
    "precipitation": "PRCP",
    "evapotranspiration": "made of TMAX and TMIN",
    "temperature": "TMAX or TMIN",
    "vapour_pressure": "RHAV",
    "wind": "AWND",
}
MOST_REASONS = 5
DAY = np.timedelta64(1, "D")


def why_not(opened: Mapper | Opened, day: np.datetime64) -> str:
    """Of a day that cannot be mapped, the first day of its window and quantity that lack.

    Such as `temperature (TMAX or TMIN) at every station on 2023-01-02`.
    """
    bundle, features, end = opened.bundle, opened.features, window_end(opened.bundle, day)
    weather, lag = features.field.weather, bundle.window.lag
    if end > weather.days[-1]:
        return f"the weather ends on {weather.days[-1]}"
    days = np.array([day], "datetime64[D]")
    (moment,) = all_moments(features.field, np.array([end], "datetime64[D]"), days, bundle.window)
    window = np.arange(end - (lag - 1) * DAY, end + DAY)
    if not has_weather(moment, bundle.weather, bundle.features):
        known = np.isfinite(moment.window[:, :, RAIN]).any(axis=1).mean() >= bundle.weather.min_coverage
        names = list(bundle.features.dynamic) if known else ["precipitation"]
        return _first(opened, names, window) or "weather at every station"
    lacking = missing_everywhere(features.spec, moment, features.layers)
    dated = [name for name in lacking if is_of_kind(name, "dated", "age")]
    weathers = [name for name in lacking if name not in dated]
    if weathers:
        return _first(opened, weathers, window) or f"{weathers[0]} at every station"
    return f"no image of {dated[0]} before {day}" if dated else "a quantity that the model needs"


def _first(opened: Mapper | Opened, names: list[str], window: Days) -> str:
    """The earliest day of a window on which every station lacks one of some quantities, and the first such quantity."""
    weather = opened.features.field.weather
    positions = (window - weather.days[0]).astype(int)
    inside = (positions >= 0) & (positions < len(weather.days))
    for day, position, there in zip(window, positions, inside, strict=True):
        if not there:
            return f"the weather begins on {weather.days[0]}"
        for name in names:
            if np.isnan(weather.values[position, :, VARIABLES.index(name)]).all():
                return f"{name.replace('_', ' ')} ({ELEMENTS[name]}) at every station on {day}"
    return ""


def last_possible(opened: Mapper | Opened) -> np.datetime64 | None:
    """The last day that can be mapped, of the record's last year; None where none can."""
    last = opened.cube.weather.days[-1]
    # the map of a morning has the weather of the day before
    days = np.arange(last + DAY, last - 366 * DAY, -DAY)
    return next((day for day in days if opened.moment(day) is not None), None)


def reasons(opened: Mapper | Opened, days: npt.NDArray[np.datetime64]) -> str:
    """Days that cannot be mapped, those of one reason together: `2023-01-02 to 2023-01-11: temperature ... on ...`."""
    by_reason: dict[str, list[np.datetime64]] = {}
    for day in days:
        by_reason.setdefault(why_not(opened, day), []).append(day)
    lines = [f"{', '.join(spans(np.array(each)))}: {text}" for text, each in by_reason.items()]
    more = len(lines) - MOST_REASONS
    return "; ".join(lines[:MOST_REASONS]) + (f"; and {more} more reasons" if more > 0 else "")


def tell_bridged(opened: Opened, days: Days) -> None:
    """Log which weather of the days' windows was drawn from the days around a gap, and how many days rest on it."""
    gaps = [bridged_in(opened, day) for day in days]
    if number := sum(bool(each) for each in gaps):
        names = dict.fromkeys(name for each in gaps for name in each)
        merged = {name: np.unique(np.concatenate([each[name] for each in gaps if name in each])) for name in names}
        log.warning(
            "%d of %d days rest on weather that no station has and that is drawn from the days around: %s",
            *(number, len(days), named_days(merged)),
        )
