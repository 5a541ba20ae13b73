"""An area's cube, by its configuration: a simulated or fetched area's files are written first."""

from __future__ import annotations

import logging

from mlssm.config import DatamoduleConfig, WeatherConfig
from mlssm.cube import Cube
from mlssm.prepare.area import prepare
from mlssm.sources.faults import OnBadFile

log = logging.getLogger(__name__)


def open_area(config: DatamoduleConfig, on_bad_file: OnBadFile, weather: WeatherConfig | None = None) -> Cube:
    """Find or make the cube of an area.

    Raises:
        DataError: A source is missing, unreadable or does not fit.
    """
    if config.simulation is not None:
        from mlssm.origins.simulation import simulate

        simulate(config.simulation, config.root)
    if config.origin is not None:
        from mlssm.origins.fill import fill

        fill(config)
    cube = prepare(config, on_bad_file, weather)
    if skipped := cube.manifest.skipped:
        # told again where the cube is not new
        log.warning("%d bad files are left out of the cube: %s", len(skipped), ", ".join(skipped[:5]))
    return cube
