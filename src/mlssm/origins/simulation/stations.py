"""Weather stations: where they stand, what they measure, and when they fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import SimulationConfig
from mlssm.origins.simulation.arrays import Floats
from mlssm.origins.simulation.climate import relative_humidity
from mlssm.origins.simulation.landscape import MARGIN, Landscape
from mlssm.origins.simulation.streams import Component, stream
from mlssm.origins.simulation.weather import Points, Weather

VARIABLES = ("PRCP", "TMAX", "TMIN", "AWND", "RHAV")
PLAIN = VARIABLES[:3]  # what every second station measures; the others measure all
CANDIDATES = 20
GAP_DAYS = 8.0  # mean length of a gap
TEMPERATURE_ERROR_K = 0.2
WIND_ERROR = 0.2


@dataclass(frozen=True)
class Station:
    """A station: GHCN identifier, place in degrees and metres, and what it measures."""

    identifier: str
    name: str
    longitude: float
    latitude: float
    elevation: float
    variables: tuple[str, ...]


def spread(rng: np.random.Generator, count: int, half: float) -> Floats:
    """Places in a square of half-width `half` around 0, spread by Mitchell's best-candidate sampling; [count, 2]."""
    places = rng.uniform(-half, half, (1, 2))
    while len(places) < count:
        offers = rng.uniform(-half, half, (CANDIDATES, 2))
        nearest = np.linalg.norm(offers[:, None] - places[None], axis=2).min(axis=1)
        places = np.concatenate([places, offers[nearest.argmax()][None]])
    return places


def place_stations(config: SimulationConfig, landscape: Landscape) -> tuple[tuple[Station, ...], Points]:
    """Stations inside and around the area, at the terrain's elevation; the first one measures everything."""
    grid, wide = landscape.grid, landscape.wide
    half = (0.5 + 0.8 * MARGIN) * grid.width * grid.pixel
    east, north = spread(stream(config.seed, Component.STATION_PLACES), config.stations, half).T
    x, y = east + (grid.bounds[0] + grid.bounds[2]) / 2, north + (grid.bounds[1] + grid.bounds[3]) / 2
    rows = ((wide.origin[1] - y) / wide.pixel).astype(int)
    columns = ((x - wide.origin[0]) / wide.pixel).astype(int)
    elevation = np.round(landscape.wide_elevation[rows, columns].astype(float), 1)
    longitude, latitude = grid.geographic(x, y)
    stations = tuple(
        Station(
            identifier=f"SIM{number:08d}",
            name=f"SIMULATED {number}, CA US",
            longitude=round(float(longitude[number - 1]), 5),
            latitude=round(float(latitude[number - 1]), 5),
            elevation=float(elevation[number - 1]),
            variables=VARIABLES if number % 2 else PLAIN,
        )
        for number in range(1, config.stations + 1)
    )
    return stations, Points(east, north, elevation)


def gaps(rng: np.random.Generator, count: int, fraction: float, mean_length: float) -> npt.NDArray[np.bool_]:
    """Contiguous gaps as a two-state Markov chain: True where missing.

    Its stationary share of missing days is begin / (begin + end) = fraction; gaps last 1 / end days on average.

    Args:
        rng: The stream to draw from.
        count: Days.
        fraction: Share of days to miss, 0..1.
        mean_length: Days; longer where so high a fraction needs it.
    """
    end = 1 / max(mean_length, fraction / (1 - fraction))
    begin = end * fraction / (1 - fraction)
    chances = rng.random(count)
    missing = np.empty(count, dtype=bool)
    state = bool(chances[0] < fraction)
    for day in range(count):
        if day:
            state = bool(chances[day] >= end if state else chances[day] < begin)
        missing[day] = state
    return missing


def measure(weather: Weather, points: Points, rng: np.random.Generator) -> dict[str, Floats]:
    """What stations without gaps would report, in GHCN-Daily's units; arrays [day, station].

    Args:
        weather: The true weather.
        points: The stations' places.
        rng: The stream of the instruments' errors.
    """
    days = range(len(weather.days))
    rain = np.stack([weather.rain(day, points) for day in days])
    mean = np.stack([weather.mean_temperature(day, points) for day in days])
    dewpoint = np.stack([weather.dewpoint(day, points) for day in days])
    span = np.broadcast_to(weather.climate.span[:, None], mean.shape)
    error = TEMPERATURE_ERROR_K * rng.standard_normal(mean.shape)
    wind = weather.climate.wind[:, None] + WIND_ERROR * rng.standard_normal(mean.shape)
    values = (
        10 * rain,
        10 * (mean + span / 2 + error),
        10 * (mean - span / 2 + error),
        10 * np.maximum(wind, 0),
        relative_humidity(mean, span, dewpoint),
    )
    return {name: np.round(value) for name, value in zip(VARIABLES, values, strict=True)}


def station_table(
    station: Station, weather: Weather, values: dict[str, Floats], missing: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    """A station's by-station CSV as a table; days without any value are left out, as NOAA does.

    Args:
        station: The station.
        weather: For the days.
        values: Its series in GHCN-Daily's units, [day] each.
        missing: [day, variable of the station].
    """
    table = pd.DataFrame({"STATION": station.identifier, "DATE": weather.days.astype(str)})
    table = table.assign(LATITUDE=station.latitude, LONGITUDE=station.longitude)
    table = table.assign(ELEVATION=station.elevation, NAME=station.name)
    for column, name in enumerate(station.variables):
        table[name] = pd.Series(values[name]).mask(missing[:, column]).astype("Int64")
    return table.iloc[np.flatnonzero(~missing.all(axis=1))]


def build_tables(config: SimulationConfig, landscape: Landscape, weather: Weather) -> dict[str, pd.DataFrame]:
    """Each station's CSV table by its identifier; whole stations and single instruments fail, in equal parts."""
    stations, points = place_stations(config, landscape)
    values = measure(weather, points, stream(config.seed, Component.STATION_ERRORS))
    # two independent causes, each with half of the gaps: 1 - (1 - h)^2 = fraction
    half = 1 - np.sqrt(1 - config.gap_fraction)
    tables = {}
    for number, station in enumerate(stations):
        rng = stream(config.seed, Component.STATION_GAPS, number)
        outage = gaps(rng, len(weather.days), half, GAP_DAYS)
        faults = [gaps(rng, len(weather.days), half, GAP_DAYS) for _ in station.variables]
        own = {name: value[:, number] for name, value in values.items()}
        tables[station.identifier] = station_table(
            station, weather, own, np.stack([outage | fault for fault in faults], 1)
        )
    return tables
