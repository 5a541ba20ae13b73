"""The course of a training, an epoch a point."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from mlssm.evaluation.figures import EpochPoint


class History(Callback):
    """Keeps the training loss and the validation RMSE of each epoch."""

    def __init__(self) -> None:
        """Start with no epoch."""
        self.points: list[EpochPoint] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read what was logged in the epoch."""
        loss, rmse = (float(trainer.callback_metrics[name]) for name in ("train/loss", "val/natural/rmse"))
        self.points.append(EpochPoint(trainer.current_epoch, loss, rmse))
