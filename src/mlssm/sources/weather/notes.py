"""What the preparation of an area's weather has to say: kept with the cube, and logged."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mlssm.config import WeatherConfig
from mlssm.grid import Bounds
from mlssm.sources.weather.load import WeatherReport
from mlssm.variables import unit_of
from mlssm.weather.agreement import rain_warnings
from mlssm.weather.interpolation import NEIGHBOURS, POWER, leave_one_station_out
from mlssm.weather.placement import placement_warnings
from mlssm.weather.stations import Floats, StationWeather

log = logging.getLogger(__name__)

LEFT_OUT = "leave-one-station-out"


def weather_notes(
    weather: StationWeather,
    report: WeatherReport,
    station_xy: Floats,
    extents: Sequence[Bounds],
    interpolation: WeatherConfig | None,
) -> tuple[str, ...]:
    """How evapotranspiration was found, what was rejected, where the stations stand and how they predict each other.

    Args:
        weather: The stations' record.
        report: What happened when it was read.
        station_xy: Easting and northing of the stations, metres [S, 2].
        extents: West, south, east, north of each extent, metres.
        interpolation: How the stations' values will be interpolated; None: as by default.
    """
    notes = [
        f"{days.station}: evapotranspiration by FAO-56 on {days.fao56} days, Hargreaves on {days.hargreaves}"
        for days in report.evapotranspiration
    ]
    notes += [f"{quality.station}: {quality.rejected} values rejected" for quality in report.quality]
    doubts = (*placement_warnings(station_xy, extents), *rain_warnings(weather, station_xy))
    for line in doubts:
        log.warning(line)
    return (*notes, *report.notes, *doubts, *station_errors(weather, station_xy, interpolation))


def station_errors(weather: StationWeather, station_xy: Floats, interpolation: WeatherConfig | None) -> tuple[str, ...]:
    """How well the stations predict each other under an interpolation, a line a variable; the lines are logged."""
    neighbours, power = _settings(interpolation)
    errors = leave_one_station_out(weather, station_xy[:, 0], station_xy[:, 1], neighbours, power)
    notes = tuple(
        f"{name}: {LEFT_OUT} RMSE {error.rmse:.2f}, bias {error.bias:.2f} {unit_of(name)}, n {error.n}, "
        f"{_how(interpolation)}"
        for name, error in errors.items()
        if error.n
    )
    for note in notes:
        log.info(note)
    return notes


def tell_station_errors_anew(
    notes: Sequence[str], weather: StationWeather, station_xy: Floats, interpolation: WeatherConfig | None
) -> None:
    """Judge the interpolation once more where the notes, made with the cube, speak of another one."""
    noted = [note for note in notes if LEFT_OUT in note]
    if noted and not noted[0].endswith(_how(interpolation)):
        station_errors(weather, station_xy, interpolation)


def _settings(interpolation: WeatherConfig | None) -> tuple[int, float]:
    return (NEIGHBOURS, POWER) if interpolation is None else (interpolation.neighbours, interpolation.power)


def _how(interpolation: WeatherConfig | None) -> str:
    neighbours, power = _settings(interpolation)
    return f"from {neighbours} stations at most, power {power:g}"
