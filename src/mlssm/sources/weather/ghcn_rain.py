"""GHCN-Daily's rain by the day on which it fell: hours of observation, and totals of several days."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from mlssm.config.weather_source import WeatherSource
from mlssm.sources.weather.flags import (
    Total,
    has_quality_flag,
    observation_hour,
    to_the_day_before,
    told_hours,
    totals_of_several_days,
)
from mlssm.sources.weather.numbers import read_numbers
from mlssm.sources.weather.units_of_noaa import Written

# third letter of an identifier: a cooperative observer, a member of CoCoRaHS
VOLUNTEERS = ("C", "1")


def rain_by_day(
    path: Path,
    identifier: str,
    lines: pd.DataFrame,
    observations: pd.DataFrame,
    written: Written,
    source: WeatherSource,
    tell: Callable[[str], None],
) -> pd.DataFrame:
    """Observations whose rain is dated by the day on which most of it fell.

    Args:
        path: The file, for messages.
        identifier: The station's, by which volunteers are known.
        lines: As text, in the order of days.
        observations: A row a line, in physical units.
        written: The unit of PRCP and MDPR.
        source: What becomes of totals, and the hour where the file has none.
        tell: Is given a line on each thing that was moved, spread or left out.
    """
    days = pd.DatetimeIndex(observations.index)
    hour = observation_hour(lines, "PRCP").set_axis(days)
    rain = observations["precipitation"]
    if totals := totals_of_several_days(lines, days):
        rain, hour = _without_totals(path, lines, rain, hour, totals, written, source, tell)
    hour = _by_volunteers(identifier, rain, hour.reindex(rain.index), source, tell)
    morning = hour[(hour < 12) & rain.notna()]
    rain, moved, clashing = to_the_day_before(rain, hour)
    if moved:
        tell(
            f"rain of {moved} days was observed at {told_hours(morning)}, so that most of it fell on the day before: "
            f"dated by that day" + (f"; {clashing} left out, as that day has rain of its own" if clashing else "")
        )
    return observations.reindex(observations.index.union(rain.index)).assign(precipitation=rain)


def _without_totals(
    path: Path,
    lines: pd.DataFrame,
    rain: pd.Series[float],
    hour: pd.Series[float],
    totals: list[Total],
    written: Written,
    source: WeatherSource,
    tell: Callable[[str], None],
) -> tuple[pd.Series[float], pd.Series[float]]:
    """Rain without the days of totals, or with these spread over them, and the hours that its days end at."""
    covered = pd.DatetimeIndex(sorted({day for total in totals for day in total.days}))
    lost = int(rain.reindex(covered).notna().sum())
    rain = rain.mask(rain.index.isin(covered))
    if source.totals == "drop":
        tell(f"rain of {len(covered)} days is known as totals of several days: left out, {lost} values")
        return rain, hour
    amounts = (
        read_numbers(path, "MDPR", lines["MDPR"]).mask(has_quality_flag(lines, "MDPR")).set_axis(hour.index)
        if "MDPR" in lines.columns
        else pd.Series(float("nan"), index=hour.index)
    )
    hours = observation_hour(lines, "MDPR").set_axis(hour.index).fillna(hour)
    spread = 0
    rain, hour = (series.reindex(series.index.union(covered)) for series in (rain, hour))
    for total in totals:
        amount = amounts[total.last] * written.factor
        if total.known and amount >= 0:
            rain[total.days] = amount / len(total.days)
            hour[total.days] = hours[total.last]
            spread += len(total.days)
    tell(
        f"rain of {len(covered)} days is known as totals of several days: spread evenly over {spread} of them, the "
        f"others are left out (no length, no amount, or flagged)"
    )
    return rain, hour


def _by_volunteers(
    identifier: str,
    rain: pd.Series[float],
    hour: pd.Series[float],
    source: WeatherSource,
    tell: Callable[[str], None],
) -> pd.Series[float]:
    """The hours, with the one that was set for volunteers where their file tells none."""
    silent = hour.isna() & rain.notna()
    if len(identifier) != 11 or identifier[2] not in VOLUNTEERS or not silent.any():
        return hour
    if source.observation_hour is not None:
        tell(f"rain of {int(silent.sum())} days has no hour of observation: {source.observation_hour:g} h as set")
        return hour.mask(silent, source.observation_hour)
    tell(
        f"rain of {int(silent.sum())} days has no hour of observation, and volunteers mostly read in the morning: it "
        "is dated as NOAA dates it, perhaps a day late; datamodule.weather.observation_hour=7 moves it"
    )
    return hour
