"""The true daily weather at any point of the area: what moves the bucket, and what the stations measure."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np

from mlssm.config import SimulationConfig
from mlssm.origins.simulation.arrays import Days, Floats
from mlssm.origins.simulation.climate import (
    DEWPOINT_LAPSE_K_PER_M,
    LAPSE_K_PER_M,
    Climate,
    day_of_year,
    draw_climate,
    extraterrestrial_radiation,
    hargreaves,
)
from mlssm.origins.simulation.landscape import AREA_CENTRE, Landscape
from mlssm.origins.simulation.storms import Cells, draw_storms, rain_of, rain_on_grid
from mlssm.origins.simulation.streams import Component, stream

SPIN_UP_DAYS = 120  # before the first season, so that the bucket has forgotten how it began
SEASON_MONTH = 9
UPLIFT_PER_M = 8e-4  # more rain for each metre above the area's mean: 8 % in 100 m
LEAST_UPLIFT = 0.5
TRACE_MM = 0.05  # less than this is no rain


@dataclass(frozen=True)
class Points:
    """Places: metres east and north of the area's centre, and elevation in metres; shapes broadcast together."""

    east: Floats
    north: Floats
    elevation: Floats


@dataclass(frozen=True)
class Weather:
    """The area's weather on each day.

    Attributes:
        climate: Temperature, humidity and wind.
        cells: The rain cells of each day.
        datum: Elevation at which storms leave their plain rain, metres.
    """

    climate: Climate
    cells: tuple[Cells, ...]
    datum: float

    @property
    def days(self) -> Days:
        """Local calendar days."""
        return self.climate.days

    def rain(self, day: int, points: Points) -> Floats:
        """Rain of the day by number at points, mm."""
        return self._lift(rain_of(self.cells[day], points.east, points.north), points.elevation)

    def rain_on_grid(self, day: int, points: Points) -> Floats:
        """Rain of the day by number on a grid, mm; `points` as `pixel_points` gives them."""
        return self._lift(rain_on_grid(self.cells[day], points.east[0], points.north[:, 0]), points.elevation)

    def _lift(self, rain: Floats, elevation: Floats) -> Floats:
        """More rain on heights, and none where there is but a trace."""
        lifted = rain * np.maximum(1 + UPLIFT_PER_M * (elevation - self.datum), LEAST_UPLIFT)
        return np.asarray(np.where(lifted < TRACE_MM, 0, lifted))

    def mean_temperature(self, day: int, points: Points) -> Floats:
        """Mean temperature of the day by number at points, degC."""
        climate = self.climate
        level = float(climate.mean[day]) - LAPSE_K_PER_M * points.elevation
        return np.asarray(level + float(climate.east[day]) * points.east + float(climate.north[day]) * points.north)

    def dewpoint(self, day: int, points: Points) -> Floats:
        """Dew point of the day by number at points, degC."""
        return float(self.climate.dewpoint[day]) - DEWPOINT_LAPSE_K_PER_M * points.elevation

    def wind(self, date: dt.date) -> float:
        """The area's mean wind speed on a date, m/s."""
        return float(self.climate.wind[(np.datetime64(date, "D") - self.days[0]).astype(int)])

    def demand(self, day: int, points: Points) -> Floats:
        """Reference evapotranspiration of the day by number at points, mm."""
        date = int(day_of_year(self.days[day : day + 1])[0])
        radiation = extraterrestrial_radiation(AREA_CENTRE[1], date)
        return hargreaves(self.mean_temperature(day, points), float(self.climate.span[day]), radiation)


def simulated_days(config: SimulationConfig) -> Days:
    """All local days: the spin-up, then the seasons from September to August."""
    first = np.datetime64(f"{config.first_season}-{SEASON_MONTH:02d}-01", "D")
    end = np.datetime64(f"{config.first_season + config.seasons}-{SEASON_MONTH:02d}-01", "D")
    return np.arange(first - SPIN_UP_DAYS, end)


def pixel_points(landscape: Landscape) -> Points:
    """The pixel centres: east as one row, north as one column, elevation on the grid; float32."""
    grid = landscape.grid
    east = (np.arange(grid.width, dtype=np.float32)[None, :] + 0.5 - grid.width / 2) * grid.pixel
    north = (grid.height / 2 - 0.5 - np.arange(grid.height, dtype=np.float32)[:, None]) * grid.pixel
    return Points(east, north, landscape.elevation)


def build_weather(config: SimulationConfig, landscape: Landscape) -> Weather:
    """Draw the storms, then the rest of the weather."""
    days = simulated_days(config)
    reach = math.hypot(landscape.wide.width, landscape.wide.height) / 2 * landscape.grid.pixel
    cells = draw_storms(stream(config.seed, Component.STORMS), days, reach)
    rainy = np.array([day.count > 0 for day in cells])
    climate = draw_climate(stream(config.seed, Component.CLIMATE), days, rainy)
    return Weather(climate, cells, float(landscape.elevation.mean()))
