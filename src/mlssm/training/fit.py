"""One network, trained and taken back to its best epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from mlssm.bundle import FeatureSpec
from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.data.datamodule import PatchDataModule
from mlssm.errors import ConfigError
from mlssm.models.convlstm import ConvLSTM
from mlssm.training.history import History
from mlssm.training.module import SoilMoistureModule
from mlssm.training.trainer import build_trainer


@dataclass(frozen=True)
class Trained:
    """A network at its best epoch.

    Attributes:
        network: On the CPU.
        history: The course of its training.
    """

    network: ConvLSTM
    history: History


def build_network(spec: FeatureSpec, config: TrainConfig) -> ConvLSTM:
    """The network for these channels."""
    model = config.model
    channels = len(spec.dynamic), len(spec.static)
    return ConvLSTM(
        *channels,
        hidden=model.hidden,
        kernel=model.kernel,
        peepholes=model.peepholes,
        dropout=model.dropout,
        input_dropout=model.input_dropout,
        variance=config.loss.name == "nll",
    )


def fit(experiment: Experiment, config: TrainConfig, checkpoints: Path, logger: Logger | None) -> Trained:
    """Train a network from the configuration's seed.

    Args:
        experiment: Labels, features and patches.
        config: Model, loss, optimiser, trainer and seed.
        checkpoints: Folder for the best and the last epoch.
        logger: Where the course goes; None for nowhere.

    Raises:
        ConfigError: The trainer's arguments are wrong, or the training diverged.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    history = History()
    trainer = build_trainer(config.trainer, config.optimiser, checkpoints, logger, [history])
    network = build_network(experiment.spec, config)
    val_dates = len(experiment.datasets["val"].times)
    module = SoilMoistureModule(network, config.loss, config.optimiser, val_dates, config.ssm_bins, experiment.plan)
    optimiser = config.optimiser
    data = PatchDataModule(dict(experiment.datasets), optimiser.batch_size, optimiser.workers, config.seed)
    trainer.fit(module, data)
    if trainer.is_global_zero:
        history.read(checkpoints / "last.ckpt")
        _check_learnt(history, config)
    best = torch.load(checkpoints / "best.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    return Trained(network, history)


def check_trainer(config: TrainConfig, checkpoints: Path) -> None:
    """Find what is wrong with the Trainer's arguments before any data is read.

    Raises:
        ConfigError: The arguments are wrong, or would start each job's other processes by the command that started the
            whole sweep: each of those would run the sweep itself, and train another job than the first one.
    """
    trainer = build_trainer(config.trainer, config.optimiser, checkpoints, None)
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    if sweep and isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher):
        raise ConfigError(
            "trainer.strategy: several processes a job cannot be started by ddp inside a sweep (-m); "
            "set trainer.strategy=ddp_spawn or trainer.devices=1"
        )


def _check_learnt(history: History, config: TrainConfig) -> None:
    if math.isnan(history.best):
        raise ConfigError(
            f"the training diverged: no epoch has a finite val/natural/rmse; lower optimiser.learning_rate="
            f"{config.optimiser.learning_rate:g}"
        )
