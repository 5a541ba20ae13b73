"""The Lightning Trainer that every run gets: what it watches, keeps and shows."""

from __future__ import annotations

import difflib
import inspect
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.accelerators import CPUAccelerator, MPSAccelerator
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import Logger

from mlssm.config import OptimiserConfig
from mlssm.errors import ConfigError
from mlssm.training.noise import silence

log = logging.getLogger(__name__)
MONITOR = "val/natural/rmse"
OURS = ("callbacks", "logger")


class EpochLine(Callback):
    """One log line an epoch, for where a progress bar would flood a file."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's training loss and validation scores; `-` for a value that was not logged."""
        if not trainer.is_global_zero:
            return
        names = ("train/loss", MONITOR, "val/natural/r2", "val/natural/r2_ceiling")
        found = trainer.callback_metrics
        values = (f"{name} {float(found[name]):.4f}" if name in found else f"{name} -" for name in names)
        log.info("epoch %d: %s", trainer.current_epoch + 1, ", ".join(values))


def build_trainer(
    trainer: Mapping[str, Any],
    optimiser: OptimiserConfig,
    checkpoints: Path,
    logger: Logger | Sequence[Logger] | None,
    extra_callbacks: Sequence[Callback] = (),
) -> pl.Trainer:
    """Build the Trainer: early stopping, `best.ckpt` and `last.ckpt`, and a progress bar or a line an epoch.

    Args:
        trainer: Arguments of `pytorch_lightning.Trainer`, passed on as they are (any accelerator, strategy, devices).
        optimiser: Gives the patience, in validations without a lower `val/natural/rmse`.
        checkpoints: Folder of `best.ckpt` (lowest `val/natural/rmse`) and `last.ckpt` (after every epoch).
        logger: Where metrics go; None for nowhere.
        extra_callbacks: Run after the Trainer's own.

    Raises:
        ConfigError: A key is not the Trainer's or not the user's to set; Lightning refuses a value; bfloat16 on a CPU
            without AVX512-BF16; an accelerator without float64.
    """
    _check_keys(trainer)
    silence()
    bar = bool(trainer.get("enable_progress_bar", True)) and sys.stdout.isatty()
    shown: Callback = RichProgressBar(leave=False) if bar else EpochLine()
    own = {"accelerator": _accelerator(trainer), "enable_progress_bar": bar}
    try:
        built = pl.Trainer(
            **{**trainer, **own},
            logger=False if logger is None else logger,  # None would write Lightning's own logs
            callbacks=[*_keepers(optimiser, checkpoints), shown, *extra_callbacks],
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    _check_hardware(built)
    return built


def _keepers(optimiser: OptimiserConfig, checkpoints: Path) -> list[Callback]:
    # two callbacks: loggers that mirror checkpoints leave out what `save_last` writes
    best = ModelCheckpoint(
        checkpoints, filename="best", monitor=MONITOR, mode="min", save_top_k=1, enable_version_counter=False
    )
    last = ModelCheckpoint(
        checkpoints, filename="last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    return [EarlyStopping(MONITOR, mode="min", patience=optimiser.patience), best, last]


def _check_keys(trainer: Mapping[str, Any]) -> None:
    known = set(inspect.signature(pl.Trainer).parameters)
    for key in trainer:
        if key in OURS:
            raise ConfigError(f"trainer.{key} is set by the program; remove it")
        if key not in known:
            close = difflib.get_close_matches(key, known - set(OURS), n=1)
            cure = f"did you mean '{close[0]}'?" if close else "allowed are the arguments of pytorch_lightning.Trainer"
            raise ConfigError(f"unknown configuration key 'trainer.{key}'; {cure}")


def _accelerator(trainer: Mapping[str, Any]) -> Any:
    chosen = trainer.get("accelerator", "auto")
    if chosen == "auto" and MPSAccelerator.is_available():
        log.info("trainer.accelerator=auto: taking the CPU, since mps has no float64, which the scores need")
        return "cpu"
    return chosen


def _check_hardware(trainer: pl.Trainer) -> None:
    if isinstance(trainer.accelerator, MPSAccelerator):
        raise ConfigError("the accelerator mps has no float64, which the scores need; set trainer.accelerator=cpu")
    on_cpu = isinstance(trainer.accelerator, CPUAccelerator)
    if on_cpu and trainer.precision.startswith("bf16") and not torch.cpu._is_avx512_bf16_supported():
        raise ConfigError(
            f"trainer.precision={trainer.precision} is some 25 times slower on this CPU, which lacks AVX512-BF16; "
            "set trainer.precision=32-true"
        )
