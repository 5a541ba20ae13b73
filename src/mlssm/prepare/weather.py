"""The stations' weather into the cube, and what is to be said of it."""

from __future__ import annotations

import numpy as np

from mlssm.config import WeatherConfig
from mlssm.cube_writer import CubeWriter
from mlssm.sources.backscatter import BackscatterIndex
from mlssm.sources.weather.load import WeatherReport
from mlssm.sources.weather.notes import weather_notes
from mlssm.weather.stations import StationWeather


def write_weather(writer: CubeWriter, weather: StationWeather) -> None:
    """Write the stations and their record."""
    x, y = writer.grid.project(weather.longitude, weather.latitude)
    stations = np.stack([weather.longitude, weather.latitude, weather.elevation_m, x, y], axis=1)
    writer.array("station", stations, ("station", "property"))
    writer.array("weather", weather.values, ("day", "station", "variable"))
    writer.days("day", weather.days, "day")


def notes_on_weather(
    weather: StationWeather, report: WeatherReport, index: BackscatterIndex, interpolation: WeatherConfig | None
) -> tuple[str, ...]:
    """What is to be said of the record, a line each."""
    station_xy = np.stack(index.grid.project(weather.longitude, weather.latitude), axis=1)
    areas = [index.grid.crop(area).bounds for area in index.areas]
    return weather_notes(weather, report, station_xy, areas, interpolation)
