"""The scene that the satellite sees: soil moisture from day to day, and the images that passes take of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlssm.config import SimulationConfig
from mlssm.origins.simulation.arrays import Floats
from mlssm.origins.simulation.backscatter import POLARISATIONS, response, speckle, to_linear, waves_db
from mlssm.origins.simulation.bucket import bucket_of, step
from mlssm.origins.simulation.landscape import Landscape, build_landscape
from mlssm.origins.simulation.orbits import Acquisition, incidence_angle
from mlssm.origins.simulation.streams import Component, stream
from mlssm.origins.simulation.weather import Weather, build_weather, pixel_points

FIRST_STORAGE = 0.1  # relative; forgotten by the end of the spin-up


@dataclass(frozen=True)
class Scene:
    """All that an image is made from."""

    config: SimulationConfig
    landscape: Landscape
    weather: Weather


def build_scene(config: SimulationConfig) -> Scene:
    """Draw the area and its weather from the seed."""
    landscape = build_landscape(config)
    return Scene(config, landscape, build_weather(config, landscape))


def daily_moisture(scene: Scene) -> Iterator[tuple[dt.date, Floats]]:
    """Each day and the relative storage at its end, 0..1, on the grid: the true SSM, one day in memory at a time."""
    landscape, weather = scene.landscape, scene.weather
    bucket = bucket_of(landscape.soil, landscape.slope, landscape.wetness)
    points = pixel_points(landscape)
    storage = FIRST_STORAGE * bucket.capacity
    for number, day in enumerate(weather.days.astype(dt.date)):
        storage = step(bucket, storage, weather.rain_on_grid(number, points), weather.demand(number, points)).storage
        yield day, storage / bucket.capacity


def render(scene: Scene, acquisition: Acquisition, ssm: Floats, polarisation: str) -> Floats:
    """The image of a pass: linear gamma0, float32 of the grid's shape.

    Args:
        scene: The area.
        acquisition: The pass.
        ssm: The true SSM that it sees, 0..1.
        polarisation: `VV` or `VH`.
    """
    config, landscape = scene.config, scene.landscape
    ndvi = landscape.greenness.ndvi(acquisition.local_day.timetuple().tm_yday)
    wind = scene.weather.wind(acquisition.local_day)
    model = response(
        polarisation,
        landscape.cover,
        landscape.roughness,
        config.vegetation_attenuation,
        config.angle_slope_db_per_deg,
    )
    decibels = model.decibels(ssm, ndvi, incidence_angle(acquisition.track, landscape.grid))
    power = to_linear(decibels + waves_db(landscape.cover, wind))
    if config.speckle:
        part = (acquisition.time.date().toordinal(), int(acquisition.track.ascending))
        rng = stream(config.seed, Component.SPECKLE, *part, POLARISATIONS.index(polarisation))
        power = power * speckle(rng, config.looks, power.shape)
    return np.asarray(power, dtype=np.float32)
