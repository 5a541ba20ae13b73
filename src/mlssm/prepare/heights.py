"""The DEM against the heights that weather stations state."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlssm.grid import Grid
from mlssm.sources.checks.terrain import check_stations
from mlssm.sources.faults import BadFiles
from mlssm.sources.terrain import elevation_at
from mlssm.weather.agreement import height_warnings
from mlssm.weather.stations import StationWeather

log = logging.getLogger(__name__)


def check_heights(files: Sequence[Path], weather: StationWeather, grid: Grid, bad: BadFiles) -> None:
    """Hold the DEM against the heights that the stations state: another unit shows."""
    x, y = grid.project(weather.longitude, weather.latitude)
    terrain = elevation_at(files, grid, x, y, bad)
    if warning := check_stations(files[0], terrain, np.asarray(weather.elevation_m)):
        log.warning(warning)
    for warning in height_warnings(weather, terrain):
        log.warning(warning)
