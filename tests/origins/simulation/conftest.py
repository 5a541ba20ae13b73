from collections.abc import Callable
from typing import Any

import pytest

from mlssm.config import SimulationConfig
from mlssm.origins.simulation.landscape import Landscape, build_landscape

SMALL = {
    "seed": 3,
    "size": 48,
    "pixel_m": 30,
    "first_season": 2020,
    "seasons": 1,
    "revisit_days": 24,
    "looks": 10,
    "speckle": True,
    "stations": 4,
    "gap_fraction": 0.1,
    "vegetation_attenuation": 0.4,
    "angle_slope_db_per_deg": -0.13,
}


@pytest.fixture(scope="session")
def configure() -> Callable[..., SimulationConfig]:
    """A small simulation's configuration, with changes."""
    return lambda **changes: SimulationConfig.model_validate(SMALL | changes)


@pytest.fixture(scope="session")
def landscape_of(configure: Callable[..., SimulationConfig]) -> Callable[..., Landscape]:
    def build(**changes: Any) -> Landscape:
        return build_landscape(configure(**changes))

    return build
