"""Whether stations agree with their neighbours and with the terrain; what does not is often in another unit."""

from __future__ import annotations

import numpy as np

from mlssm.weather.stations import VARIABLES, Floats, StationWeather

RAIN = VARIABLES.index("precipitation")
NEIGHBOUR_KM = 100.0
COMMON_DAYS = 100
RAIN_FACTOR = 5.0  # windward and lee slopes differ by less; tenths and whole mm differ by 10
HEIGHT_M = 200.0
FEET_M = 0.3048


def rain_warnings(weather: StationWeather, station_xy: Floats) -> tuple[str, ...]:
    """Stations whose rain is a fifth of their nearest neighbour's, or five times it, a line each.

    Sums over the days that both have, 100 at least; neighbours are nearer than 100 km.

    Args:
        weather: The stations' record.
        station_xy: Easting and northing, metres [S, 2].
    """
    lines = []
    rain = weather.values[:, :, RAIN]
    for station, place in enumerate(station_xy):
        away = np.hypot(*(station_xy - place).T) / 1000
        common = np.isfinite(rain) & np.isfinite(rain[:, [station]])
        usable = (away < NEIGHBOUR_KM) & (common.sum(axis=0) >= COMMON_DAYS) & (np.arange(len(away)) != station)
        if not usable.any():
            continue
        other = int(np.argmin(np.where(usable, away, np.inf)))
        own, its = (float(rain[common[:, other], number].sum()) for number in (station, other))
        if min(own, its) > 0 and own * RAIN_FACTOR < its:
            lines.append(
                f"{weather.ids[station]} has {own:.0f} mm of rain on days on which {weather.ids[other]}, "
                f"{away[other]:.0f} km away, has {its:.0f} mm: check the unit of both"
            )
    return tuple(lines)


def height_warnings(weather: StationWeather, terrain_m: Floats) -> tuple[str, ...]:
    """Stations whose elevation is more than 200 m from the terrain's at their place, a line each.

    Args:
        weather: The stations' record.
        terrain_m: The DEM's elevation at the stations, NaN where it has none [S].
    """
    lines = []
    for name, height, terrain in zip(weather.ids, weather.elevation_m, terrain_m, strict=True):
        if abs(height - terrain) > HEIGHT_M:
            feet = "it looks to be in feet" if abs(height * FEET_M - terrain) < HEIGHT_M / 4 else "check place and unit"
            lines.append(f"{name}: ELEVATION is {height:.0f} m and the DEM there has {terrain:.0f} m: {feet}")
    return tuple(lines)
