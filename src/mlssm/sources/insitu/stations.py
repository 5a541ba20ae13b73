"""Stations day by day: the values that a map of a day is compared with, of one sensor or of several together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.insitu.sensor import Sensor

log = logging.getLogger(__name__)
HOURS = 3.0  # before and after the pass
LEAST_COMMON = 10  # days on which all sensors of a station report, for their offsets
FROZEN_BELOW_C = 0.0


@dataclass(frozen=True)
class Clock:
    """When a map of a day holds.

    Attributes:
        zone: The area's time zone.
        hour: Local hour of the satellite's pass, 0..24: values of hours around it count.
        same_day: Whether a value of a whole day belongs to the map of that day; else to that of the next, as the
            window of a morning pass ends with the day before.
    """

    zone: ZoneInfo
    hour: float
    same_day: bool


@dataclass(frozen=True)
class Station:
    """A station.

    Attributes:
        name: Its name.
        longitude: Degrees east.
        latitude: Degrees north.
        sensors: Names of its sensors.
        moisture: m3/m3 by the map's day; days without a value are left out.
        frozen: How many sensor days are left out as the soil was frozen.
    """

    name: str
    longitude: float
    latitude: float
    sensors: tuple[str, ...]
    moisture: pd.Series[float]
    frozen: int


def daily_stations(sensors: Sequence[Sensor], clock: Clock) -> list[Station]:
    """Bring sensors to the days of maps, and together by their station.

    A value of a day is the daily mean that a source gives, or the mean of the hours around the satellite's pass. Days
    with soil below 0 degC, where that is measured, are left out. Several sensors of a station are averaged, see
    `together`.

    Raises:
        DataError: Sensors of one station lie apart.
    """
    found = []
    ordered = sorted(sensors, key=lambda sensor: (sensor.station, sensor.depth, sensor.name))
    for name, group in groupby(ordered, key=lambda sensor: sensor.station):
        own = list(group)
        if len({(sensor.longitude, sensor.latitude) for sensor in own}) > 1:
            raise DataError(f"sensors of the station {name} lie at different places; give each place its own name")
        days = [sensor_days(sensor, clock) for sensor in own]
        columns = pd.DataFrame({n: moisture for n, (moisture, _) in enumerate(days)})
        moisture = together(name, columns)
        frozen = sum(count for _, count in days)
        names = tuple(sensor.name for sensor in own)
        found.append(Station(name, own[0].longitude, own[0].latitude, names, moisture, frozen))
    return found


def sensor_days(sensor: Sensor, clock: Clock) -> tuple[pd.Series[float], int]:
    """A sensor's values by the map's day, without those of frozen soil; and how many days had these."""
    table = pd.DataFrame({"moisture": sensor.moisture, "frozen": sensor.temperature < FROZEN_BELOW_C})
    table["day"] = _map_days(sensor, clock)
    known = table[table["moisture"].notna() & table["day"].notna()]
    by_day = known.groupby("day").agg(moisture=("moisture", "mean"), frozen=("frozen", "any"))
    kept = by_day.loc[~by_day["frozen"], "moisture"]
    return kept.rename_axis(None), int(by_day["frozen"].sum())


def _map_days(sensor: Sensor, clock: Clock) -> pd.Series[pd.Timestamp]:
    """The day of the map that each value belongs to; none for hours far from the pass."""
    if sensor.daily:
        later = np.timedelta64(0 if clock.same_day else 1, "D")
        return pd.Series((sensor.times.astype("datetime64[D]") + later).astype("datetime64[s]"))
    local = pd.DatetimeIndex(sensor.times).tz_localize("UTC").tz_convert(clock.zone).tz_localize(None)
    since_pass = local - pd.Timedelta(hours=clock.hour)
    day = since_pass.round("D")
    near = np.abs((since_pass - day) / pd.Timedelta(hours=1)) <= HOURS
    return pd.Series(day.astype("datetime64[s]")).where(near)


def together(name: str, columns: pd.DataFrame) -> pd.Series[float]:
    """One series of several sensors: the mean of those that report, each first shifted to the mean level of all.

    Without the shift a sensor that fails would move the mean by its calibration. The levels are those of days on which
    all report; where these are fewer than 10, the sensor with most days stands for the station.

    Args:
        name: The station's, for the log.
        columns: m3/m3 [day, sensor], NaN where missing.
    """
    if columns.shape[1] == 1:
        return columns.iloc[:, 0].dropna()
    common = columns.dropna()
    if len(common) < LEAST_COMMON:
        most = int(columns.notna().sum().to_numpy().argmax())
        log.warning("station %s: its %d sensors share %d days: one stands for all", name, columns.shape[1], len(common))
        return columns.iloc[:, most].dropna()
    level = common.mean()
    return (columns - level + level.mean()).mean(axis=1).dropna()
