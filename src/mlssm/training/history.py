"""The course of a training, an epoch a point."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from mlssm.scores.epoch import EpochPoint

UNTRAINED = 0


class History(Callback):
    """Keeps the training loss and the validation RMSE of each epoch; checkpoints carry it."""

    def __init__(self) -> None:
        """Start with no epoch."""
        self.points: list[EpochPoint] = []
        self._val_rmse = math.nan
        self.best = math.nan
        """The lowest validation RMSE, also of validations within an epoch; NaN where there is none."""

    def take_untrained(self, rmse: float) -> None:
        """Begin with the score before the first epoch."""
        self.points.append(EpochPoint(UNTRAINED, math.nan, rmse))
        self._take_best(rmse)

    @property
    def best_epoch(self) -> int:
        """The epoch (from 1) with the lowest validation RMSE; `UNTRAINED` where none is better than before them all."""
        known = [point for point in self.points if math.isfinite(point.val_rmse)]
        return min(known, key=lambda point: point.val_rmse).epoch if known else UNTRAINED

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the score of a validation, but not of the sanity check before the first epoch."""
        if not trainer.sanity_checking:
            self._val_rmse = float(trainer.callback_metrics["val/natural/rmse"])
            self._take_best(self._val_rmse)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch; an epoch that was not validated has NaN, not the score of the one before."""
        loss = float(trainer.callback_metrics["train/loss"])
        self.points.append(EpochPoint(trainer.current_epoch + 1, loss, self._val_rmse))
        self._val_rmse = math.nan

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: numbers alone."""
        points = [[point.epoch, point.train_loss, point.val_rmse] for point in self.points]
        return {"points": points, "val_rmse": self._val_rmse, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.points = [EpochPoint(int(epoch), loss, rmse) for epoch, loss, rmse in state_dict["points"]]
        self._val_rmse = state_dict["val_rmse"]
        for rmse in (*(point.val_rmse for point in self.points), state_dict.get("best", math.nan)):
            self._take_best(rmse)

    def _take_best(self, rmse: float) -> None:
        if math.isfinite(rmse) and not rmse >= self.best:
            self.best = rmse
