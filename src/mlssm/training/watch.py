"""Who looks at a training while it runs, and may stop it: a search. Knows no search library."""

from __future__ import annotations

from typing import Protocol

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from mlssm.checkpoint import State
from mlssm.training.keepers import MONITOR


class Watch(Protocol):
    """Told each epoch's validation score; made from the configuration's `trial` by `hydra.utils.instantiate`."""

    def report(self, epoch: int, rmse: float) -> bool:
        """Take an epoch's (from 1) RMSE on the natural validation split, and say whether to stop the training."""


class Watching(Callback):
    """Asks the watch after each epoch that was validated; the first process asks, and all follow.

    Attributes:
        pruned: The epoch (from 1) after which the watch stopped the training; None where it did not.
    """

    def __init__(self, watch: Watch | None) -> None:
        """Ask this watch; None for none."""
        self._watch = watch
        self._rmse: float | None = None
        self.pruned: int | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A training that was stopped stays so."""
        self.pruned = trainer.strategy.broadcast(self.pruned)  # only the first process needs to have the watch
        if self.pruned is not None:
            trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the score, but not of the sanity check."""
        if not trainer.sanity_checking:
            self._rmse = float(trainer.callback_metrics[MONITOR])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report it."""
        rmse, self._rmse = self._rmse, None
        if rmse is None or self.pruned is not None:
            return
        epoch = trainer.current_epoch + 1
        stop = self._watch.report(epoch, rmse) if self._watch is not None and trainer.is_global_zero else False
        if trainer.strategy.broadcast(stop):
            self.pruned, trainer.should_stop = epoch, True

    def state_dict(self) -> State:
        """Whether it was stopped, and what is still to be reported."""
        return {"pruned": self.pruned, "rmse": self._rmse}

    def load_state_dict(self, state_dict: State) -> None:
        """Without a watch, a training that one had stopped goes on."""
        self._rmse = state_dict["rmse"]
        self.pruned = state_dict["pruned"] if self._watch is not None else None
