"""The stations' weather: read, put into the cube, and what is to be said of it."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np

from mlssm.config import DatamoduleConfig, WeatherConfig
from mlssm.cube_writer import CubeWriter
from mlssm.sources.backscatter import BackscatterIndex
from mlssm.sources.faults import OnBadFile
from mlssm.sources.weather.load import WeatherReport, load_weather
from mlssm.sources.weather.notes import weather_notes
from mlssm.sources.weather.site import Site
from mlssm.weather.clock import closing_hour
from mlssm.weather.stations import StationWeather


def read_weather(
    config: DatamoduleConfig, index: BackscatterIndex, zone: ZoneInfo, on_bad_file: OnBadFile
) -> tuple[StationWeather, WeatherReport]:
    """Read the weather around the extents; days of hourly weather end when the images are taken.

    Raises:
        DataError: See `mlssm.sources.weather.load.load_weather`.
    """
    passes: dict[int, list[dt.datetime]] = {}
    for overpass in index.passes:
        passes.setdefault(overpass.orbit, []).append(overpass.acquired.astimezone(zone))
    hour, lines = closing_hour(passes)
    boxes = tuple(index.grid.crop(extent).geographic_bounds() for extent in index.extents)
    return load_weather(config.root, config.weather, on_bad_file, Site(boxes, zone, hour, lines))


def write_weather(writer: CubeWriter, weather: StationWeather, report: WeatherReport) -> None:
    """Write the stations and their record, and which of its days are forecast."""
    x, y = writer.grid.project(weather.longitude, weather.latitude)
    stations = np.stack([weather.longitude, weather.latitude, weather.elevation_m, x, y], axis=1)
    writer.array("station", stations, ("station", "property"))
    writer.array("weather", weather.values, ("day", "station", "variable"))
    writer.days("day", weather.days, "day")
    ahead = weather.days.astype("datetime64[D]") > np.datetime64(report.last_observed)
    writer.array("forecast", ahead.astype(np.uint8), ("day",), {"long_name": "1: the day's weather is forecast"})


def notes_on_weather(
    weather: StationWeather, report: WeatherReport, index: BackscatterIndex, interpolation: WeatherConfig | None
) -> tuple[str, ...]:
    """What is to be said of the record, a line each."""
    station_xy = np.stack(index.grid.project(weather.longitude, weather.latitude), axis=1)
    extents = [index.grid.crop(extent).bounds for extent in index.extents]
    return weather_notes(weather, report, station_xy, extents, interpolation)
