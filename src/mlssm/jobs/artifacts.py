"""What a training leaves in its run: the patch index, checkpoints, the model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mlssm import bundle
from mlssm.bundle import Bundle
from mlssm.checkpoint import BEST, CHECKPOINTS, LAST
from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.inference.prefit import fitted_state
from mlssm.jobs.calibrate import Certainty
from mlssm.jobs.continuation import TrainingJob
from mlssm.jobs.gone import KEY, trained_on
from mlssm.patches.index import save_index
from mlssm.retrieval.reasons_file import write_reasons
from mlssm.tracking.model_files import write_model_files
from mlssm.tracking.run import TrackedRun
from mlssm.training.train_network import Trained

log = logging.getLogger(__name__)


def keep_index(run: TrackedRun, experiment: Experiment, folder: Path) -> None:
    """The patches and how they were drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "patches.parquet"
    save_index(experiment.index, path)
    run.log_file(path)


def keep_reasons(experiment: Experiment, config: TrainConfig) -> None:
    """Why each pixel and image has no label, beside the cube: once for all runs of the same labels."""
    path = write_reasons(experiment.cube, experiment.retrieval, config.dask)
    log.info("why each pixel and image has no label: %s", path)


def keep_checkpoints(run: TrackedRun, checkpoints: Path, place: str = CHECKPOINTS) -> None:
    """What another machine needs to go on from this run, as artifacts in the folder `place`."""
    for name in (BEST, LAST):
        run.log_file(checkpoints / name, place)


def keep_bundle(
    run: TrackedRun, experiment: Experiment, job: TrainingJob, trained: Trained, certainty: Certainty | None
) -> None:
    """Last of all: a run with a model is a run that has everything."""
    folder = job.folder / "model"
    sure = {} if certainty is None else certainty.state()
    fitted, tensors = bundle.pack({**fitted_state(experiment), KEY: trained_on(experiment.cube), **sure})
    described = _describe(experiment, job.config, fitted)
    bundle.save(described, {**trained.network.state_dict(), **tensors}, folder)
    write_model_files(folder, described)
    run.log_bundle(folder)


def _describe(experiment: Experiment, config: TrainConfig, fitted: dict[str, Any]) -> Bundle:
    cube = experiment.cube
    return Bundle.of(
        config,
        experiment.spec,
        label_digest=experiment.retrieval.digest(),
        cube_digest=cube.manifest.digest,
        crs=cube.grid.crs,
        pixel_m=experiment.stack.working.grid.pixel,
        pass_is_evening=bool((cube.window_ends == cube.local_days).mean() >= 0.5),
        fitted=fitted,
        channel=dict(experiment.stack.channel),
    )
