"""One training from configuration to tracked run: what `train.py` does."""

from __future__ import annotations

import logging
import math
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from mlssm import bundle
from mlssm.area import open_area
from mlssm.config import TrainConfig
from mlssm.cube import Cube
from mlssm.data.assemble import Experiment, assemble
from mlssm.data.datamodule import PatchDataModule
from mlssm.errors import ConfigError
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.evaluation.report import report
from mlssm.evaluation.table import as_rich
from mlssm.models.convlstm import ConvLSTM
from mlssm.patches.index import save_index
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
    if _rank() > 0:
        logging.getLogger("mlssm").setLevel(logging.ERROR)  # the first process says it all
    pl.seed_everything(config.seed, workers=True, verbose=False)
    history = History()
    # first of all, for it finds what is wrong with the Trainer's arguments
    trainer = build_trainer(config.trainer, config.optimiser, _checkpoints(), None, [history])
    check_launch(trainer)
    cube = open_area(config.datamodule, config.on_bad_file)
    with _record(config, values, cube) as run:
        experiment = assemble(cube, config)
        if run is not None:
            trainer.logger = lightning_logger(run.store, run.run_id)
            _keep_index(run, experiment)
        network = _fit(experiment, config, trainer, history)
        if run is not None:
            evaluation = evaluate(experiment, network, config.optimiser.batch_size, config.ssm_bins)
            report(run, experiment, network, evaluation, history.points)
            run.log_metrics({"seconds": time.monotonic() - started, "peak_memory_gb": peak_memory_gb()})
            _keep_bundle(run, _bundle(experiment, config, values), network)
            _say(evaluation, run)
    return history.best


@contextmanager
def _record(config: TrainConfig, values: Mapping[str, Any], cube: Cube) -> Iterator[TrackedRun | None]:
    """The run, which the first process of a distributed training keeps; the others have none."""
    if _rank() > 0:
        yield None
        return
    digests = {"cube": cube.manifest.digest, **cube.manifest.files}
    store = open_store(config.tracking)
    with tracked_run(store, job_name(config), values, digests, parent_run_id()) as run:
        yield run


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


def _fit(experiment: Experiment, config: TrainConfig, trainer: pl.Trainer, history: History) -> ConvLSTM:
    """Train, and go back to the best epoch."""
    network = build_network(experiment.spec, config)
    val_dates = len(experiment.datasets["val"].times)
    module = SoilMoistureModule(network, config.loss, config.optimiser, val_dates, config.ssm_bins)
    optimiser = config.optimiser
    data = PatchDataModule(dict(experiment.datasets), optimiser.batch_size, optimiser.workers, config.seed)
    trainer.fit(module, data)
    if trainer.is_global_zero:
        history.read(_checkpoints() / "last.ckpt")
        _check_learnt(history, config)
    best = torch.load(_checkpoints() / "best.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    return network


def _check_learnt(history: History, config: TrainConfig) -> None:
    if math.isnan(history.best):
        raise ConfigError(
            f"the training diverged: no epoch has a finite val/natural/rmse; lower optimiser.learning_rate="
            f"{config.optimiser.learning_rate:g}"
        )


def check_launch(trainer: pl.Trainer) -> None:
    """Refuse a sweep whose jobs would start their other processes by the command that started the whole sweep.

    Raises:
        ConfigError: Each of those processes would run the sweep itself, and train another job than the first one.
    """
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    if sweep and isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher):
        raise ConfigError(
            "trainer.strategy: several processes a job cannot be started by ddp inside a sweep (-m); "
            "set trainer.strategy=ddp_spawn or trainer.devices=1"
        )


def _keep_index(run: TrackedRun, experiment: Experiment) -> None:
    path = output_folder() / "patches.parquet"
    save_index(experiment.index, path)
    run.log_file(path)


def _keep_bundle(run: TrackedRun, made: bundle.Bundle, network: ConvLSTM) -> None:
    """Last of all: a run with a model is a run that has everything."""
    folder = output_folder() / "model"
    bundle.save(made, network.state_dict(), folder)
    run.log_bundle(folder)


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


def _rank() -> int:
    """Number of this process among those of a distributed training."""
    return int(getattr(rank_zero_only, "rank", 0))


def _checkpoints() -> Path:
    return output_folder() / "checkpoints"


def output_folder() -> Path:
    """The folder that Hydra made for this job."""
    return Path(HydraConfig.get().runtime.output_dir)


def peak_memory_gb() -> float:
    """Most memory that this process has held, GB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e9 if sys.platform == "darwin" else 1e6)  # macOS counts bytes, Linux kilobytes
