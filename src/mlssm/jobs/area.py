"""An area's cube, by its configuration: a simulated or fetched area's files are written first."""

from __future__ import annotations

import logging

from mlssm.config import DaskConfig, DatamoduleConfig, ImagesConfig, WeatherConfig
from mlssm.cube import Cube
from mlssm.prepare.area import prepare
from mlssm.retrieval.stack_making import MultilookBeside
from mlssm.sources.faults import OnBadFile

log = logging.getLogger(__name__)


def open_area(
    config: DatamoduleConfig,
    on_bad_file: OnBadFile,
    weather: WeatherConfig | None = None,
    images: ImagesConfig | None = None,
    dask: DaskConfig | None = None,
) -> Cube:
    """Find or make the cube of an area.

    Args:
        config: The area.
        on_bad_file: Whether a file that cannot be read stops the run or is left out.
        weather: How stations will be interpolated, which the notes judge.
        images: How images will be multilooked, which is done while they are read; None: later, where it is needed.
        dask: Where passes are worked on; None: threads.

    Raises:
        DataError: A source is missing, unreadable or does not fit.
    """
    if dask is not None:
        config = config.model_copy(update={"root": dask.shared(config.root), "cubes": dask.shared(config.cubes)})
    if config.simulation is not None:
        from mlssm.origins.simulation import simulate

        simulate(config.simulation, config.root)
    if config.origin is not None:
        from mlssm.origins.fill import fill

        fill(config)
    # a moving window needs what lies around each shard, and is made of the whole cube
    beside = None if images is None or images.multilook != "block" else MultilookBeside(images)
    cube = prepare(config, on_bad_file, weather, dask, beside)
    if skipped := cube.manifest.skipped:
        # told again where the cube is not new
        log.warning("%d bad files are left out of the cube: %s", len(skipped), ", ".join(skipped[:5]))
    return cube
