"""The best epoch is the best on validation: a training without a validation has nothing to keep, and is refused."""

from __future__ import annotations

import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from mlssm.errors import ConfigError

POSITIVE = ("max_epochs", "max_steps", "limit_train_batches", "limit_val_batches")


def check_validation(trainer: pl.Trainer) -> None:
    """Refuse what can be seen to leave no validation before the data are read.

    Raises:
        ConfigError: An argument of the trainer leaves none.
    """
    if getattr(trainer, "fast_dev_run", False):
        raise ConfigError("trainer.fast_dev_run keeps no model; set trainer.max_epochs=1 to try things out")
    for key in POSITIVE:
        if getattr(trainer, key) == 0:
            raise ConfigError(f"trainer.{key}=0 leaves no epoch that is trained and validated; set it above 0")
    every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs
    if every is not None and epochs is not None and 0 < epochs < every:
        raise ConfigError(
            f"trainer.check_val_every_n_epoch={every} is more than trainer.max_epochs={epochs}: nothing is validated"
        )


class FirstValidation(Callback):
    """Refuses a training that ends before its first validation, once the number of batches is known."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count.

        Raises:
            ConfigError: The training is too short.
        """
        batches, every = int(trainer.num_training_batches), trainer.check_val_every_n_epoch
        interval = int(trainer.val_check_batch or batches)
        whole, rest = divmod(interval - 1, batches) if every is None else (every - 1, interval - 1)
        steps = whole * _steps(batches, trainer) + _steps(rest + 1, trainer)
        told = f"ends the training before its first validation, which comes after {steps} steps, in epoch {whole + 1}"
        if 0 < trainer.max_steps < steps:
            raise ConfigError(f"trainer.max_steps={trainer.max_steps} {told}; set it to {steps} or more")
        if trainer.max_epochs is not None and 0 < trainer.max_epochs <= whole:
            raise ConfigError(f"trainer.max_epochs={trainer.max_epochs} {told}; set it to {whole + 1} or more")


def _steps(batches: int, trainer: pl.Trainer) -> int:
    """Steps of the optimiser in the first batches of an epoch; what is left at its end is a step of its own."""
    ends = batches == trainer.num_training_batches
    return math.ceil(batches / trainer.accumulate_grad_batches) if ends else batches // trainer.accumulate_grad_batches
