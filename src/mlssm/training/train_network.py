"""One network, trained and taken back to its best epoch."""

from __future__ import annotations

import logging
import math
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from mlssm.checkpoint import BEST, LAST, read_checkpoint, write_checkpoint
from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.data.datamodule import PatchDataModule
from mlssm.data.dataset import PatchDataset
from mlssm.errors import ConfigError, Pruned
from mlssm.training.history import UNTRAINED, History
from mlssm.training.module import SoilMoistureModule
from mlssm.training.random_stream import RandomStream
from mlssm.training.start import Start, check_resumable, take_weights
from mlssm.training.trainer import build_trainer
from mlssm.training.untrained import UntrainedCandidate, val_rmse
from mlssm.training.watch import Watch, Watching

log = logging.getLogger(__name__)
FROM_SCRATCH = Start()


@dataclass(frozen=True)
class Trained:
    """A network at its best epoch.

    Attributes:
        network: On the CPU in the first process.
        history: The course of its training.
    """

    network: nn.Module
    history: History


def train_network(
    experiment: Experiment,
    config: TrainConfig,
    checkpoints: Path,
    logger: Logger | None,
    start: Start = FROM_SCRATCH,
    watch: Watch | None = None,
    epochs: int | None = None,
) -> Trained:
    """Train a network from the configuration's seed, or from where another training stands.

    A training that goes on from its `last.ckpt` comes to the same bits on a CPU as one that was never interrupted. One
    that had ended already is not trained further, unless the configuration now has more epochs or more patience.

    Args:
        experiment: Labels, features and patches.
        config: Model, loss, optimiser, trainer and seed; learning rate and weight decay win over a checkpoint's.
        checkpoints: Folder for the best epoch (`best.ckpt`) and where the training stands (`last.ckpt`).
        logger: Where the course goes; None for nowhere.
        start: What to begin with; of `checkpoint`, the `best.ckpt` beside it is in `checkpoints` as well.
        watch: Is told every validated epoch, and may stop the training; asked on the first process only.
        epochs: Train for exactly so many, without validation, and keep the last one; 0 keeps the untrained network.
            None: the configuration's, stopped early and kept at the best one by validation.

    Returns:
        The network at its best epoch; on other processes than the first, at its last one.

    Raises:
        ConfigError: The trainer's arguments are wrong, or the training diverged.
        RunError: The checkpoint or the weights are unreadable or do not fit.
        Pruned: The watch stopped the training.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = _data(experiment, config)
    network = config.model.build(experiment.spec, spread=config.loss.needs_spread)
    if start.weights is not None:
        take_weights(start.weights, network)
    if epochs == UNTRAINED or not any(weights.requires_grad for weights in network.parameters()):
        return _untrained(network, config, checkpoints, experiment.datasets["val"] if epochs is None else None)
    history, watching = History(), Watching(watch)
    callbacks: list[Callback] = [history, watching, RandomStream(data)]
    if config.model.starts_as_response and epochs is None:
        callbacks.append(UntrainedCandidate(experiment.datasets["val"], config.optimiser.batch_size, history))
    trainer = build_trainer(config.trainer, config.optimiser, checkpoints, logger, callbacks, epochs)
    val_dates = len(experiment.datasets["val"].times)
    told = config.ssm_bins, experiment.plan, experiment.retrieval.track.value
    module = SoilMoistureModule(network, config.loss, config.optimiser, val_dates, *told)
    if start.checkpoint is not None:
        trainer.num_sanity_val_steps = 0  # it was sane when it began
        if trainer.is_global_zero:
            check_resumable(start.checkpoint, module, trainer, checkpoints)
    _fit(trainer, module, data, start.checkpoint)
    if watching.pruned is not None:
        raise Pruned(watching.pruned)
    if epochs is None:
        _check_learnt(history, config)
    if trainer.is_global_zero:
        module.load_state_dict(read_checkpoint(checkpoints / BEST)["state_dict"])
    return Trained(network, history)


def _untrained(network: nn.Module, config: TrainConfig, checkpoints: Path, val: PatchDataset | None) -> Trained:
    """The network as it begins, kept as a trained one is, and scored where there is a validation split."""
    history = History()
    if val is not None:
        history.take_untrained(val_rmse(network, val, config.optimiser.batch_size))
        log.info("%s has no weights to train: val/natural/rmse %.4f", config.model.title, history.best)
    state = {"state_dict": {f"network.{name}": value for name, value in network.state_dict().items()}}
    if getattr(rank_zero_only, "rank", 0) == 0:
        for name in (BEST, LAST):
            write_checkpoint(state, checkpoints / name)
    return Trained(network, history)


def _data(experiment: Experiment, config: TrainConfig) -> PatchDataModule:
    optimiser = config.optimiser
    return PatchDataModule(dict(experiment.datasets), optimiser.batch_size, optimiser.workers, config.seed)


def _fit(trainer: pl.Trainer, module: SoilMoistureModule, data: PatchDataModule, checkpoint: Path | None) -> None:
    """Fit; what Lightning finds wrong with the trainer's arguments only now is the configuration's fault."""
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except (MisconfigurationException, ValueError) as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if not str(frame.f_globals.get("__name__", "")).startswith("pytorch_lightning."):
            raise
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error


def _check_learnt(history: History, config: TrainConfig) -> None:
    if not math.isnan(history.best):
        if history.best_epoch == UNTRAINED and config.model.starts_as_response:
            log.info("no epoch is better on validation than the network was untrained, which is kept")
        return
    if not any(math.isnan(point.train_loss) for point in history.points) and "max_time" in config.trainer:
        raise ConfigError(
            f"trainer.max_time={config.trainer['max_time']} ended the training before its first validation; set more"
        )
    raise ConfigError(
        f"the training diverged: no epoch has a finite val/natural/rmse; lower optimiser.learning_rate="
        f"{config.optimiser.learning_rate:g}"
    )
