"""One training from configuration to tracked run: what `train.py` does."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from rich.console import Console

from mlssm import bundle
from mlssm.area import open_area
from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment, assemble
from mlssm.data.datamodule import PatchDataModule
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.evaluation.report import report
from mlssm.evaluation.table import as_rich
from mlssm.models.convlstm import ConvLSTM
from mlssm.tracking.lightning import lightning_logger
from mlssm.tracking.run import TrackedRun, tracked_run
from mlssm.tracking.store import open_store
from mlssm.tracking.sweep import job_name, parent_run_id
from mlssm.training.history import History
from mlssm.training.module import SoilMoistureModule
from mlssm.training.trainer import build_trainer

log = logging.getLogger(__name__)


def train(config: TrainConfig, values: Mapping[str, Any]) -> float:
    """Prepare the area, train, score, and record it all as one run.

    Args:
        config: The typed configuration.
        values: The same as plain containers, for the record.

    Returns:
        The lowest RMSE on the natural validation split.

    Raises:
        MlssmError: The input or the configuration does not allow it; the message says what to do.
    """
    started = time.monotonic()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    cube = open_area(config.datamodule, config.on_bad_file)
    digests = {"cube": cube.manifest.digest, **cube.manifest.files}
    folder = output_folder()
    store = open_store(config.tracking)
    with tracked_run(store, job_name(config), values, digests, parent_run_id()) as run:
        experiment = assemble(cube, config)
        history = History()
        trainer, module = _fit(experiment, config, run, history)
        if trainer.is_global_zero:
            data = PatchDataModule(dict(experiment.datasets), config.optimiser.batch_size, 0, config.seed)
            evaluation = evaluate(experiment, module.network, data, config.ssm_bins)
            bundle.save(_bundle(experiment, config, values), module.network.state_dict(), folder / "model")
            run.log_bundle(folder / "model")
            report(run, experiment, module.network, evaluation, history.points)
            run.log_metrics({"seconds": time.monotonic() - started, "peak_memory_gb": peak_memory_gb()})
            _say(evaluation, run)
    return min(point.val_rmse for point in history.points)


def _say(evaluation: Evaluation, run: TrackedRun) -> None:
    console = Console(soft_wrap=False, width=max(100, Console().width))
    console.print(as_rich(evaluation.rows))
    console.print(f"MLflow run {run.run_id}", highlight=False)
    console.print(f"See it with: {run.ui_command}", highlight=False, soft_wrap=True)


def build_network(spec: bundle.FeatureSpec, config: TrainConfig) -> ConvLSTM:
    """The network for these channels."""
    model = config.model
    channels = len(spec.dynamic), len(spec.static)
    return ConvLSTM(*channels, model.hidden, model.kernel, model.peepholes, model.dropout, model.input_dropout)


def _fit(
    experiment: Experiment, config: TrainConfig, run: TrackedRun, history: History
) -> tuple[pl.Trainer, SoilMoistureModule]:
    """Train, and go back to the best epoch."""
    dates = {name: len(dataset.times) for name, dataset in experiment.datasets.items()}
    network = build_network(experiment.spec, config)
    module = SoilMoistureModule(network, config.loss, config.optimiser, dates, config.ssm_bins)
    optimiser = config.optimiser
    data = PatchDataModule(dict(experiment.datasets), optimiser.batch_size, optimiser.workers, config.seed)
    checkpoints = output_folder() / "checkpoints"
    trainer = build_trainer(config.trainer, optimiser, checkpoints, lightning_logger(run.store, run.run_id), [history])
    trainer.fit(module, data)
    best = torch.load(checkpoints / "best.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    return trainer, module


def _bundle(experiment: Experiment, config: TrainConfig, values: Mapping[str, Any]) -> bundle.Bundle:
    cube, working = experiment.cube, experiment.stack.working
    same_day = cube.window_ends == cube.local_days
    return bundle.Bundle(
        config=dict(values),
        features=experiment.spec,
        label_digest=experiment.retrieval.digest(),
        cube_digest=cube.manifest.digest,
        crs=cube.grid.crs,
        pixel_m=working.grid.pixel,
        pass_is_evening=bool(same_day.mean() >= 0.5),
    )


def output_folder() -> Path:
    """The folder that Hydra made for this job."""
    return Path(HydraConfig.get().runtime.output_dir)


def peak_memory_gb() -> float:
    """Most memory that this process has held, GB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e9 if sys.platform == "darwin" else 1e6)  # macOS counts bytes, Linux kilobytes
