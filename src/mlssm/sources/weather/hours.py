"""From hours to days: sums, means and extremes of the 24 hours that close when the images are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.weather.quantities import QUANTITIES
from mlssm.sources.weather.site import Site
from mlssm.weather.clock import MIDNIGHT, NOON, day_of, lengths
from mlssm.weather.stations import Days, Floats

MOST_MISSING_HOURS = 2.0
LONGEST_STEP = 6.0


@dataclass(frozen=True)
class Hours:
    """Values of hours, or of other parts of a day, of one station or of many that share their times.

    Attributes:
        ends: End of each step, UTC, datetime64[s], ascending, each once [T].
        step: Length of a step, hours.
        values: By quantity, in its unit, NaN = missing [T] or [T, C].
    """

    ends: npt.NDArray[np.datetime64]
    step: float
    values: Mapping[str, Floats]


def step_of(ends: npt.NDArray[np.datetime64], where: str) -> float:
    """The length of the steps, hours: the most frequent difference of two times.

    Raises:
        DataError: There is one time alone, or steps are longer than 6 hours and shorter than a day.
    """
    if len(ends) < 2:
        raise DataError(f"{where}: a single time says not what its value is of; give two at least")
    steps, counts = np.unique(np.diff(np.sort(ends)), return_counts=True)
    step = float(steps[steps > np.timedelta64(0, "s")][np.argmax(counts[steps > np.timedelta64(0, "s")])] / HOUR)
    if LONGEST_STEP < step < 23 or step > 25:
        raise DataError(f"{where}: steps of {step:g} hours; weather is daily, or in steps of 6 hours at most")
    return step


HOUR = np.timedelta64(1, "h")


def days_of(hours: Hours, site: Site) -> tuple[Days, dict[str, Floats], int]:
    """Sum, average or take the extremes of the hours of each day.

    A day counts with 22 hours at least; where fewer than all are there, its sum is scaled to the whole day. Days end at
    the site's hour; but extremes are those of calendar days where that is in the morning: whether the ground was frozen
    when the satellite passed is told by the night before it, which is of the image's own day.

    Args:
        hours: In any unit of time up to 6 hours.
        site: Time zone, and the hour at which days close.

    Returns:
        Consecutive days [D], values by quantity [D] or [D, C], and how many days' sums were scaled.
    """
    values = with_derived(hours.values)
    own = {name for name in values if site.hour < NOON and QUANTITIES[name].day in ("max", "min")}
    closings = {hour: names for hour, names in ((site.hour, values.keys() - own), (MIDNIGHT, own)) if names}
    parts = [
        _closing(replace(hours, values={name: values[name] for name in sorted(names)}), hour, site)
        for hour, names in closings.items()
    ]
    first, last = min(days[0] for days, _, _ in parts), max(days[-1] for days, _, _ in parts)
    axis = np.arange(first, last + 1)
    found: dict[str, Floats] = {}
    for days, daily, _ in parts:
        for name, amounts in daily.items():
            found[name] = np.full((len(axis), *amounts.shape[1:]), np.nan)
            found[name][days - first] = amounts
    return axis.astype("datetime64[D]"), found, sum(scaled for _, _, scaled in parts)


def _closing(hours: Hours, hour: int, site: Site) -> tuple[npt.NDArray[np.int64], dict[str, Floats], int]:
    """Days that close at one hour: those that have any value, what they have, and how many were scaled."""
    local = pd.DatetimeIndex(hours.ends).tz_localize("UTC").tz_convert(site.zone).tz_localize(None)
    # where clocks go back an hour comes twice: a day that has closed stays closed
    of_hour = np.maximum.accumulate(day_of(local, hour).astype(np.int64))
    days, first = np.unique(of_hour, return_index=True)
    whole = lengths(days.astype("datetime64[D]"), hour, site.zone)
    found: dict[str, Floats] = {}
    scaled = np.zeros(len(days), bool)
    for name, values in hours.values.items():
        known = np.add.reduceat(np.isfinite(values), first, axis=0, dtype=np.float64) * hours.step
        missing = whole.reshape(-1, *[1] * (values.ndim - 1)) - known
        daily = _together(values, first, QUANTITIES[name].day)
        if QUANTITIES[name].day == "sum":
            partial = (missing > 1e-6) & (missing <= MOST_MISSING_HOURS)
            daily = np.where(partial, daily * ((known + missing) / np.where(known > 0, known, np.nan)), daily)
            scaled |= partial.reshape(len(days), -1).any(axis=1)
        found[name] = np.where(missing <= MOST_MISSING_HOURS, daily, np.nan)
    return days, found, int(scaled.sum())


def _together(values: Floats, first: npt.NDArray[np.intp], day: str) -> Floats:
    """The sum, mean, greatest or least known value of each day."""
    if day in ("max", "min"):
        extreme = np.fmax if day == "max" else np.fmin
        return np.asarray(extreme.reduceat(values, first, axis=0), dtype=np.float64)
    total = np.add.reduceat(np.nan_to_num(values), first, axis=0)
    if day == "sum":
        return np.asarray(total, dtype=np.float64)
    count = np.add.reduceat(np.isfinite(values), first, axis=0, dtype=np.float64)
    return np.asarray(total / np.where(count > 0, count, np.nan), dtype=np.float64)


def with_derived(values: Mapping[str, Floats]) -> dict[str, Floats]:
    """With the quantities whose days follow from others' hours: extremes of temperature, and vapour pressure.

    Vapour pressure is taken hour by hour, e0(dew point) or RH e0(T) (FAO-56 eq. 11, 14 and 10): humidity is lowest when
    it is warmest, so that a product of daily means is too moist.
    """
    from pyet.meteo_utils import calc_e0

    found = dict(values)
    if "temperature" in found:
        found.setdefault("max_temperature", found["temperature"])
        found.setdefault("min_temperature", found["temperature"])
    if "vapour_pressure" not in found:
        if "dew_point" in found:
            found["vapour_pressure"] = np.asarray(calc_e0(found["dew_point"]), dtype=np.float64)
        elif {"relative_humidity", "temperature"} <= found.keys():
            saturation = calc_e0(found["temperature"])
            found["vapour_pressure"] = np.asarray(found["relative_humidity"] / 100 * saturation, dtype=np.float64)
    return found
