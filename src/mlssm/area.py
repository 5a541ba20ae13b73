"""An area's cube, by its configuration: a simulated area is written first, as the files of a real one."""

from __future__ import annotations

from mlssm.config import DatamoduleConfig
from mlssm.cube import Cube
from mlssm.prepare import prepare
from mlssm.sources.faults import OnBadFile


def open_area(config: DatamoduleConfig, on_bad_file: OnBadFile) -> Cube:
    """Find or make the cube of an area.

    Raises:
        DataError: A source is missing, unreadable or does not fit.
    """
    if config.simulation is not None:
        from mlssm.simulation import simulate

        simulate(config.simulation, config.root)
    return prepare(config, on_bad_file)
