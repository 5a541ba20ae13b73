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
        batches, joined = int(trainer.num_training_batches), trainer.accumulate_grad_batches
        every, interval = trainer.check_val_every_n_epoch, int(trainer.val_check_batch or batches)
        epochs_before = (interval - 1) // batches if every is None else every - 1
        rest = interval - epochs_before * batches if every is None else interval
        # what is left of an epoch is a step of its own
        steps = epochs_before * math.ceil(batches / joined) + (
            math.ceil(batches / joined) if rest == batches else rest // joined
        )
        told = (
            f"a validation comes after {steps} steps and {epochs_before + 1} epochs of {batches} batches at the least"
        )
        if 0 < trainer.max_steps < steps:
            raise ConfigError(f"trainer.max_steps={trainer.max_steps} ends the training before: {told}")
        if trainer.max_epochs is not None and 0 < trainer.max_epochs <= epochs_before:
            raise ConfigError(f"trainer.max_epochs={trainer.max_epochs} ends the training before: {told}")
