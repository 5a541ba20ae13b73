"""One random stream for each component, so that changing one component leaves the others' draws as they are."""

from __future__ import annotations

import enum

import numpy as np

from mlssm.errors import ConfigError


class Component(enum.IntEnum):
    """What draws at random. The numbers are part of the simulator's version: append, never renumber."""

    TERRAIN = 0
    SOIL = 1
    LAND_COVER = 2
    ROUGHNESS = 3
    GREENNESS = 4
    STORMS = 5
    CLIMATE = 6
    STATION_PLACES = 7
    STATION_ERRORS = 8
    STATION_GAPS = 9
    NDVI_ERRORS = 10
    SPECKLE = 11
    PROBE_PLACES = 12
    PROBE_ERRORS = 13
    PROBE_GAPS = 14


def stream(seed: int, component: Component, *index: int) -> np.random.Generator:
    """The generator of a component, or of one of its numbered parts (an image, a station).

    Args:
        seed: The simulation's seed, at least 0.
        component: What draws.
        index: Numbers of the part, such as acquisition and polarisation.

    Raises:
        ConfigError: The seed is negative.
    """
    if seed < 0:
        raise ConfigError(f"datamodule.simulation.seed={seed} is negative; give 0 or more")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(component), *index)))
