"""Quality checks on single values.

After Durre, Menne, Gleason, Houston & Vose 2010, Comprehensive automated quality assurance of daily surface
observations, J. Appl. Meteor. Climatol. 49, 1615-1633. Those of their checks that need no climatology and no neighbours
are used; as there, a check sees only what the checks before it have passed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mlssm.sources.weather.quantities import range_of
from mlssm.sources.weather.record import StationRecord

log = logging.getLogger(__name__)

SPIKE_DEGC = 25.0
STREAK_DAYS = 20
TEMPERATURES = ("max_temperature", "min_temperature")
ZEROS = (0.0, -17.8, -17.7)  # 0 degC, and 0 degF as tenths of degC


@dataclass(frozen=True)
class StationQuality:
    """How many values of a station each check has rejected.

    Attributes:
        station: The station's name, or that of its grid.
        flagged: A quality flag is set in the file.
        out_of_range: Beyond the physical range (`quantities.range_of`), or both temperatures of a day exactly zero.
        inverted: The day's maximum temperature is below its minimum; both are rejected.
        spikes: A temperature at least 25 degC above, or below, both neighbouring days.
        streaks: One of 20 or more identical temperatures in a row, or identical rain amounts on wet days in a row.
    """

    station: str
    flagged: int
    out_of_range: int
    inverted: int
    spikes: int
    streaks: int

    @property
    def rejected(self) -> int:
        """All rejected values."""
        return self.flagged + self.out_of_range + self.inverted + self.spikes + self.streaks

    def told(self) -> str:
        """In words."""
        return (
            f"{self.station}: {self.rejected} values rejected: {self.flagged} flagged, {self.out_of_range} out of "
            f"range, {self.inverted} with TMAX below TMIN, {self.spikes} spikes, {self.streaks} in streaks"
        )


def check_quality(record: StationRecord) -> tuple[StationRecord, StationQuality]:
    """Replace values that fail a check by NaN, and log how many if there are any; a grid's cells are told of together.

    Args:
        record: One station on consecutive days.

    Returns:
        The cleaned record, and the count of each check.
    """
    observations, out_of_range = _reject(record.observations, beyond_range)
    observations, inverted = _reject(observations, inverted_temperatures)
    observations, spikes = _reject(observations, temperature_spikes)
    observations, streaks = _reject(observations, identical_streaks)
    report = StationQuality(record.group or record.id, record.flagged, out_of_range, inverted, spikes, streaks)
    if report.rejected and not record.group:
        log.warning(report.told())
    return replace(record, observations=observations), report


def beyond_range(observations: pd.DataFrame) -> pd.DataFrame:
    """Values outside their element's physical range, and gaps that were filled with zeros (True = fails).

    A day whose maximum and minimum are both exactly 0 degC, or both 0 degF, is such a gap: their naught check.
    """
    values = observations.to_numpy(dtype=float)
    low, high = np.transpose([range_of(str(name)) for name in observations])
    beyond = (values < low - 1e-6) | (values > high + 1e-6)
    failed = pd.DataFrame(beyond, observations.index, observations.columns)
    for zero in ZEROS:
        filled = (observations[list(TEMPERATURES)] - zero).abs().max(axis=1, skipna=False) < 1e-6
        failed.loc[filled, list(TEMPERATURES)] = True
    return failed


def inverted_temperatures(observations: pd.DataFrame) -> pd.DataFrame:
    """Both temperatures of a day whose maximum is below its minimum (True = fails)."""
    failed = _none_failed(observations)
    below = observations["max_temperature"] < observations["min_temperature"]
    failed[list(TEMPERATURES)] = pd.concat([below, below], axis=1).to_numpy()
    return failed


def temperature_spikes(observations: pd.DataFrame) -> pd.DataFrame:
    """Temperatures at least 25 degC above, or below, both the day before and the day after (True = fails)."""
    failed = _none_failed(observations)
    for name in TEMPERATURES:
        before = observations[name].diff()
        after = -before.shift(-1)
        up = (before >= SPIKE_DEGC) & (after >= SPIKE_DEGC)
        failed[name] = up | ((before <= -SPIKE_DEGC) & (after <= -SPIKE_DEGC))
    return failed


def identical_streaks(observations: pd.DataFrame) -> pd.DataFrame:
    """Temperatures or rain that stay the same for 20 or more reported days (True = fails).

    Days without a report neither make nor break a streak; a dry day ends a streak of rain.
    """
    failed = _none_failed(observations)
    for name in (*TEMPERATURES, "precipitation"):
        reported = observations[name].dropna()
        streak = (reported != reported.shift()).cumsum()
        length = streak.map(streak.value_counts())
        wrong = length >= STREAK_DAYS
        if name == "precipitation":
            wrong &= reported != 0
        failed.loc[wrong.index[wrong], name] = True
    return failed


def _none_failed(observations: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(False, index=observations.index, columns=observations.columns)


def _reject(observations: pd.DataFrame, check: Callable[[pd.DataFrame], pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    failed = check(observations)
    return observations.mask(failed), int(failed.to_numpy().sum())
