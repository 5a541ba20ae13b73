"""Whether a station's numbers are in GHCN-Daily's units, judged by the numbers themselves.

A file in millimetres and degC, inches and degF or hundredths has GHCN-Daily's columns and plausible numbers, wrong by a
factor. Each check is one fact of climates that such a factor breaks; what fails is refused, never converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlssm.errors import DataError
from mlssm.sources.weather.units_of_noaa import Declared, in_words

MIN_DAYS = 20
MIN_WET_DAYS = 10
MANY_DAYS, MANY_WET_DAYS = 200, 30  # a foggy season alone is not a climate
HOTTEST_WHOLE_DEGREES = 13.4  # the hottest air ever, 134 degF, read as tenths of degC
POLAR = 60.0  # degrees; beyond it, wet days of 1 mm are real
CURE = (
    "take NOAA's by-station file as it is, or set datamodule.weather.units if the access service was asked with units="
)


@dataclass(frozen=True)
class UnitCheck:
    """A fact of climates.

    Attributes:
        columns: The columns that it speaks of.
        unit: The unit that they should have.
        finding: From observations in physical units and the latitude to what is implausible; None if nothing is.
    """

    columns: str
    unit: str
    finding: Callable[[pd.DataFrame, float], str | None]


def cure_of(units: Declared) -> str:
    """What to do about numbers that are not in the units that they should have."""
    return CURE if units is None else f"correct datamodule.weather.units={units}"


def check_units(
    path: Path,
    observations: pd.DataFrame,
    latitude: float,
    units: Declared = None,
    cure: str | None = None,
    checks: Sequence[UnitCheck] | None = None,
) -> None:
    """Refuse a station whose numbers cannot be in the units that they should have: GHCN-Daily's, or declared ones.

    Args:
        path: The file, for messages.
        observations: A column an element, in physical units, NaN = missing.
        latitude: Degrees north.
        units: Those that NOAA's access service was asked for.
        cure: What to do; None: as is right for NOAA's files.
        checks: Which facts count; None: all of them.

    Raises:
        DataError: A check fails.
    """
    for check in CHECKS if checks is None else checks:
        finding = check.finding(observations, latitude)
        if finding is not None:
            what = f"the units of {check.columns} look wrong: {finding}; expected {check.unit}"
            raise DataError(f"{path}: {in_words(what, units)}; {cure or cure_of(units)}")


def inverted_often(observations: pd.DataFrame, latitude: float) -> str | None:
    """More than single days whose maximum is below their minimum: two columns or two units are mixed up."""
    both = observations[["max_temperature", "min_temperature"]].dropna()
    wrong = int((both["max_temperature"] < both["min_temperature"]).sum())
    if len(both) < MIN_WET_DAYS or wrong <= 0.1 * len(both):
        return None
    return f"TMAX is below TMIN on {wrong} of {len(both)} days, so they are swapped or in two units"


def temperatures_too_even(observations: pd.DataFrame, latitude: float) -> str | None:
    """Days and nights, and one day and the next, differ by less than anywhere on land, as whole degrees would."""
    both = observations[["max_temperature", "min_temperature"]].dropna()
    if len(both) < MIN_DAYS:
        return None
    span = (both["max_temperature"] - both["min_temperature"]).mean()
    step = both["max_temperature"].diff().abs().median()
    cold = both["max_temperature"].max() <= HOTTEST_WHOLE_DEGREES
    if not (span < 2 and step < 0.4) and not (cold and span < 4 and step < 1):
        return None
    return f"as tenths of degC, day and night differ by {span:.1f} degC and TMAX of one day and the next by {step:.1f}"


def temperatures_of_two_units(observations: pd.DataFrame, latitude: float) -> str | None:
    """One of the two temperatures varies five times as much as the other one."""
    both = observations[["max_temperature", "min_temperature"]].dropna()
    if len(both) < MIN_DAYS:
        return None
    ranges = (both.quantile(0.95) - both.quantile(0.05)).to_numpy()
    if ranges.min() <= 0 or ranges.max() < 5 * ranges.min():
        return None
    return f"TMAX ranges over {ranges[0]:.1f} degC and TMIN over {ranges[1]:.1f}, so they are in two units"


def rain_too_weak(observations: pd.DataFrame, latitude: float) -> str | None:
    """Wet days of 1 mm or 2 that never bring 20: below 60 degrees, that is millimetres read as tenths.

    Of 140 USCRN stations of 2020 below 60 degrees the check finds 137 in whole millimetres; as they are it refuses one,
    in Death Valley. Few wet days say less, and are refused only where they are weaker still.
    """
    wet = _wet(observations)
    mean, most = (2.0, 20.0) if len(wet) >= MANY_WET_DAYS else (1.5, 10.0)
    told = observations["precipitation"].count() >= MANY_DAYS and len(wet) >= MIN_WET_DAYS and abs(latitude) < POLAR
    if not told or wet.mean() >= mean or wet.max() >= most:
        return None
    return f"as tenths of mm, {len(wet)} wet days bring {wet.mean():.2f} mm each and {wet.max():.1f} mm at most"


def rain_too_strong(observations: pd.DataFrame, latitude: float) -> str | None:
    """Wet days of more than 100 mm on the mean, while the wettest place on Earth has 70; of 30, if all are whole mm.

    Hundredths of a mm, measured to a tenth, are whole mm as tenths.
    """
    wet = _wet(observations)
    most = 30 if np.allclose(wet, wet.round()) else 100
    if len(wet) < MIN_WET_DAYS or wet.mean() <= most:
        return None
    return f"as tenths of mm, {len(wet)} wet days bring {wet.mean():.0f} mm each"


def _wet(observations: pd.DataFrame) -> pd.Series[float]:
    rain = observations["precipitation"]
    return rain[rain > 0]


def wind_of_another_unit(observations: pd.DataFrame, latitude: float) -> str | None:
    """No wind in weeks, or a hurricane on the mean of all days."""
    wind = observations["wind"].dropna()
    calm = wind.mean() < 0.6 and wind.max() < 2
    if len(wind) < MIN_DAYS or not (calm or wind.mean() > 25):
        return None
    return f"as tenths of m/s, {len(wind)} days have a mean of {wind.mean():.2f} m/s and {wind.max():.1f} at most"


def humidity_as_a_fraction(observations: pd.DataFrame, latitude: float) -> str | None:
    """No day's humidity above 1 %."""
    humidity = observations["relative_humidity"].dropna()
    if len(humidity) < MIN_DAYS or humidity.max() > 1:
        return None
    return f"the highest of {len(humidity)} values is {humidity.max():g}"


def snow_of_another_unit(observations: pd.DataFrame, latitude: float) -> str | None:
    """Depths that are neither whole centimetres nor whole inches, as all readings in mm are."""
    depth = observations["snow_depth"].dropna()
    depth = depth[depth > 0]
    if len(depth) < MIN_WET_DAYS or depth.max() >= 200:
        return None
    inches = np.round(np.round(depth / 25.4) * 25.4)
    read = (depth % 10 == 0) | (np.abs(depth - inches) < 0.5)
    if read.mean() >= 0.5:
        return None
    return f"{int((~read).sum())} of {len(depth)} depths are no whole cm or inch as mm, e.g. {depth[~read].iloc[0]:g}"


TEMPERATURES, DEGREES = "TMAX and TMIN", "tenths of degC"
CHECKS = (
    UnitCheck(TEMPERATURES, DEGREES, inverted_often),
    UnitCheck(TEMPERATURES, DEGREES, temperatures_too_even),
    UnitCheck(TEMPERATURES, DEGREES, temperatures_of_two_units),
    UnitCheck("PRCP", "tenths of mm", rain_too_weak),
    UnitCheck("PRCP", "tenths of mm", rain_too_strong),
    UnitCheck("AWND", "tenths of m/s", wind_of_another_unit),
    UnitCheck("RHAV", "%", humidity_as_a_fraction),
    UnitCheck("SNWD", "mm", snow_of_another_unit),
)
# a sensor knows snow in millimetres; a grid's cell may be of the sea, whose air is even, and drizzles often
OF_TABLES = tuple(check for check in CHECKS if check.finding is not snow_of_another_unit)
OF_GRIDS = tuple(check for check in OF_TABLES if check.finding not in (temperatures_too_even, rain_too_weak))
