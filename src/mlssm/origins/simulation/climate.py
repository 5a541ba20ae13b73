"""The area's daily temperature, humidity and wind, and the water that the air asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

from mlssm.origins.simulation.arrays import Days, Floats

LAPSE_K_PER_M = 6.5e-3
DEWPOINT_LAPSE_K_PER_M = 5.0e-3
MEAN_C, AMPLITUDE_K, WARMEST_DAY = 18.0, 5.5, 220
RANGE_K, RAINY_RANGE_K = 12.0, 7.0
GRADIENT_K_PER_M = 4e-5  # standard deviation: 0.3 K over 7 km
MEAN_WIND, STORM_WIND = 2.2, 2.0


@dataclass(frozen=True)
class Climate:
    """The area's weather at sea level and at its centre; one value a day in each array.

    Attributes:
        days: Local calendar days.
        mean: Mean temperature, degC.
        span: Daily maximum minus minimum, K.
        dewpoint: degC.
        wind: Mean speed, m/s.
        east: Warming towards the east, K/m.
        north: Warming towards the north, K/m.
    """

    days: Days
    mean: Floats
    span: Floats
    dewpoint: Floats
    wind: Floats
    east: Floats
    north: Floats


def day_of_year(days: Days) -> npt.NDArray[np.int64]:
    """1 for 1 January."""
    return np.asarray((days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1)


def persistent(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """A stationary first-order autoregressive series with mean 0, variance 1 and lag-one correlation `memory`."""
    noise = rng.standard_normal(count)
    noise[1:] *= np.sqrt(1 - memory**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], noise))


def draw_climate(rng: np.random.Generator, days: Days, rainy: npt.NDArray[np.bool_]) -> Climate:
    """Draw the daily weather; rainy days are cooler by day, damper and windier.

    Args:
        rng: The stream to draw from.
        days: Consecutive days.
        rainy: Whether storms pass, for each day.
    """
    count = len(days)
    course = np.cos(2 * np.pi * (day_of_year(days) - WARMEST_DAY) / 365.25)
    mean = MEAN_C + AMPLITUDE_K * course + 2.2 * persistent(rng, count, 0.75) - 1.5 * rainy
    span = np.where(rainy, RAINY_RANGE_K, RANGE_K) * np.exp(0.18 * persistent(rng, count, 0.5))
    below_minimum = np.where(rainy, 0.3, 1.0) * rng.gamma(1.5, 1.8, count)
    wind = MEAN_WIND * np.exp(0.3 * persistent(rng, count, 0.5)) + STORM_WIND * rainy
    east, north = GRADIENT_K_PER_M * rng.standard_normal((2, count))
    return Climate(days, mean, span, mean - span / 2 - below_minimum, wind, east, north)


def extraterrestrial_radiation(latitude: float, day: int) -> float:
    """Radiation at the top of the atmosphere Ra, MJ m-2 day-1. Source: FAO-56 (Allen et al. 1998), equations 21 to 25.

    Args:
        latitude: Degrees, between the polar circles.
        day: Day of the year.
    """
    phi = np.radians(latitude)
    angle = 2 * np.pi * day / 365
    distance = 1 + 0.033 * np.cos(angle)
    declination = 0.409 * np.sin(angle - 1.39)
    sunset = np.arccos(-np.tan(phi) * np.tan(declination))
    high = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return float(24 * 60 / np.pi * 0.0820 * distance * high)


def hargreaves(mean: Floats, span: float, radiation: float) -> Floats:
    """Reference evapotranspiration, mm/day, at least 0. Source: FAO-56, equation 52, with Ra in mm as 0.408 MJ m-2.

    Args:
        mean: Mean temperature, degC.
        span: Daily maximum minus minimum, K.
        radiation: Extraterrestrial radiation, MJ m-2 day-1.
    """
    return np.asarray(np.maximum(0.0023 * 0.408 * radiation * float(np.sqrt(span)) * (mean + 17.8), 0))


def saturation_vapour_pressure(temperature: Floats) -> npt.NDArray[Any]:
    """Pressure in kPa at a temperature in degC. Source: FAO-56, equation 11."""
    return 0.6108 * np.exp(17.27 * temperature / (temperature + 237.3))


def relative_humidity(mean: Floats, span: Floats, dewpoint: Floats) -> npt.NDArray[Any]:
    """Daily mean relative humidity, %, 0..100. Source: FAO-56, equations 10, 12 and 14.

    Args:
        mean: Mean temperature, degC.
        span: Daily maximum minus minimum, K.
        dewpoint: degC.
    """
    warm, cold = saturation_vapour_pressure(mean + span / 2), saturation_vapour_pressure(mean - span / 2)
    return np.asarray(100 * saturation_vapour_pressure(dewpoint) / ((warm + cold) / 2)).clip(0, 100)
