"""The Lightning Trainer that every run gets: what it watches, keeps and shows."""

from __future__ import annotations

import difflib
import inspect
import logging
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.accelerators import CPUAccelerator, MPSAccelerator
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import Logger

from mlssm.checkpoint import AtomicCheckpointIO
from mlssm.config import OptimiserConfig
from mlssm.errors import ConfigError
from mlssm.training.keepers import MONITOR, Best, Final, Last, Patience
from mlssm.training.quiet import silence
from mlssm.training.rates import ConfiguredRates
from mlssm.training.validated import FirstValidation, check_validation

log = logging.getLogger(__name__)
# the program's own, and what it has another way for: each with what to do instead
REFUSED = {
    **dict.fromkeys(("callbacks", "logger", "use_distributed_sampler", "enable_checkpointing"), "remove it"),
    "barebones": "remove it; quiet are trainer.enable_progress_bar=false and tracking.system_metrics_s=null",
    "overfit_batches": "it would replace the loaders; set +trainer.limit_train_batches=N to train on N batches",
}

# of a training of so many epochs that nothing ends early
UNVALIDATED: dict[str, Any] = {"min_epochs": None, "max_steps": -1, "max_time": None}
UNVALIDATED |= {"limit_val_batches": 0, "num_sanity_val_steps": 0}


class EpochLine(Callback):
    """One log line an epoch, for where a progress bar would flood a file."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's training loss and validation scores; `-` for a value that was not logged."""
        if not trainer.is_global_zero:
            return
        names = ("train/loss", MONITOR, "val/natural/r2", "val/natural/r2_cap")
        found = trainer.callback_metrics
        values = (f"{name} {float(found[name]):.4f}" if name in found else f"{name} -" for name in names)
        log.info("epoch %d: %s", trainer.current_epoch + 1, ", ".join(values))


class EpochBar(RichProgressBar):
    """Lightning's bar, with names short enough for one line."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The metrics beside the bar, without the run id."""
        found = super().get_metrics(trainer, pl_module)
        names = {"train/loss": "loss", MONITOR: "val rmse", "val/natural/r2": "val r2"}
        return {short: found[name] for name, short in names.items() if name in found}


class OwnSignals(Callback):
    """Puts back what the process does at SIGTERM: Lightning's way broadcasts, which hangs, and ends with status 0."""

    def __init__(self) -> None:
        """Note what is to be put back; Lightning itself does so after the fit."""
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning has set its own just before this, or before the next one where there is no such check."""
        self.on_train_start(trainer, pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put it back."""
        if self._handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)


def build_trainer(
    trainer: Mapping[str, Any],
    optimiser: OptimiserConfig,
    checkpoints: Path,
    logger: Logger | Sequence[Logger] | None,
    extra_callbacks: Sequence[Callback] = (),
    epochs: int | None = None,
) -> pl.Trainer:
    """Build the Trainer: early stopping, `best.ckpt` and `last.ckpt`, and a progress bar or a line an epoch.

    Args:
        trainer: Arguments of `pytorch_lightning.Trainer`, passed on as they are (any accelerator, strategy, devices).
        optimiser: Gives the patience, in validations without a lower `val/natural/rmse`, and how often `last.ckpt` is
            written beside the start, the end of every epoch and the end.
        checkpoints: Folder of `best.ckpt` (lowest `val/natural/rmse`) and `last.ckpt` (where the training stands).
        logger: Where metrics go; None for nowhere.
        extra_callbacks: Run after the Trainer's own.
        epochs: Exactly so many, none of them validated, the last of which is kept; None: early stopping.

    Raises:
        ConfigError: A key is not the Trainer's or not the user's to set; Lightning refuses a value; bfloat16 on a CPU
            without AVX512-BF16; an accelerator without float64; no epoch would be validated.
    """
    _check_keys(trainer)
    silence()
    bar = bool(trainer.get("enable_progress_bar", True)) and sys.stderr.isatty()
    # on stderr, as all that is not a result
    shown: Callback = EpochBar(leave=False, console_kwargs={"stderr": True}) if bar else EpochLine()
    summary = trainer.get("enable_model_summary", False)
    own = {"accelerator": _accelerator(trainer), "enable_progress_bar": bar, "enable_model_summary": summary}
    own["use_distributed_sampler"] = False  # the loaders' own sampler shares the patches among processes
    if epochs is not None:
        own |= {**UNVALIDATED, "max_epochs": epochs}
    keepers = _keepers(optimiser, checkpoints) if epochs is None else _last_keepers(optimiser, checkpoints)
    try:
        built = pl.Trainer(
            **{**trainer, **own, "plugins": _plugins(trainer)},
            logger=False if logger is None else logger,  # None would write Lightning's own logs
            callbacks=[ConfiguredRates(), *keepers, OwnSignals(), shown, *extra_callbacks],
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    _check_hardware(built)
    if epochs is None:
        check_validation(built)
    return built


def _keepers(optimiser: OptimiserConfig, checkpoints: Path) -> list[Callback]:
    last = Last(checkpoints, optimiser.checkpoint_steps)
    return [FirstValidation(), Patience(optimiser.patience), Best(checkpoints), last]


def _last_keepers(optimiser: OptimiserConfig, checkpoints: Path) -> list[Callback]:
    """The best epoch is written before the state that says that there is nothing left to train."""
    return [Final(checkpoints), Last(checkpoints, optimiser.checkpoint_steps)]


def _plugins(trainer: Mapping[str, Any]) -> list[Any]:
    given = trainer.get("plugins") or []
    return [*(given if isinstance(given, list | tuple) else [given]), AtomicCheckpointIO()]


def _check_keys(trainer: Mapping[str, Any]) -> None:
    known = set(inspect.signature(pl.Trainer).parameters)
    for key in trainer:
        if key in REFUSED:
            raise ConfigError(f"trainer.{key} is set by the program: {REFUSED[key]}")
        if key == "val_check_interval" and not isinstance(trainer[key], int | float | None):
            raise ConfigError(f"trainer.{key}={trainer[key]}: validation by the clock cannot be repeated; give batches")
        if key not in known:
            close = difflib.get_close_matches(key, known - REFUSED.keys(), n=1)
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
    if on_cpu and trainer.precision.startswith("bf16") and not torch.cpu.get_capabilities().get("avx512_bf16", False):
        raise ConfigError(
            f"trainer.precision={trainer.precision} is some 25 times slower on this CPU, which lacks AVX512-BF16; "
            "set trainer.precision=32-true"
        )
