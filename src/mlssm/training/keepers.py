"""What a training keeps: its best epoch, where it stands, and whether it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

from mlssm.checkpoint import BEST, LAST, State

MONITOR = "val/natural/rmse"


class Best(ModelCheckpoint):
    """Keeps the epoch with the lowest `val/natural/rmse` as `best.ckpt`.

    Its state names no folder: a run's folder may be moved or copied.
    """

    def __init__(self, folder: Path) -> None:
        """Keep it in this folder."""
        name = BEST.removesuffix(self.FILE_EXTENSION)
        super().__init__(folder, filename=name, monitor=MONITOR, mode="min", save_top_k=1, enable_version_counter=False)

    def take(self, trainer: pl.Trainer, score: float) -> None:
        """Keep the network as it is now, with its score, as the best so far."""
        trainer.save_checkpoint(Path(self.dirpath or "") / BEST, weights_only=False)
        self.load_state_dict({"score": score})

    def state_dict(self) -> State:
        """The score of the best epoch; None before the first."""
        return {"score": None if self.best_model_score is None else float(self.best_model_score)}

    def load_state_dict(self, state_dict: State) -> None:
        """Take the `best.ckpt` of this folder for the epoch that had the score."""
        if state_dict["score"] is None:
            return
        path, score = str(Path(self.dirpath or "") / BEST), torch.tensor(state_dict["score"], dtype=torch.float64)
        self.best_k_models = {path: score}
        self.best_model_path = self.kth_best_model_path = path
        self.best_model_score = self.current_score = self.kth_value = score


class Last(Checkpoint):
    """Keeps where the training stands as `last.ckpt`: before each epoch, at the end, and every so many steps.

    An epoch is kept as the next one starts, not as it ends: only then are its metrics with the logger, so that going
    on from any `last.ckpt` leaves no metric out.
    """

    def __init__(self, folder: Path, every_steps: int | None) -> None:
        """Keep it in this folder, also every so many optimiser steps; None for only between epochs."""
        self._path, self._every = folder / LAST, every_steps
        self._seen = self._kept = 0
        self._epoch_starts = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count on from the steps that a checkpoint brought."""
        self._seen = self._kept = trainer.global_step

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the epoch before, or the state before the first step."""
        self._epoch_starts = True
        self._save(trainer)
        self._epoch_starts = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep a state within the epoch: only where no gradient is half accumulated and no validation is due."""
        stepped = trainer.global_step > self._seen
        self._seen = trainer.global_step
        if self._every is None or not stepped or self._seen // self._every == self._kept // self._every:
            return
        if not trainer.is_last_batch and not _validation_follows(trainer, batch_idx):
            self._save(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the whole course."""
        self._save(trainer)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: State) -> None:
        """Let an epoch that has only been announced count as not begun, so that it begins anew."""
        if self._epoch_starts:
            progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]
            for count in (progress["total"], progress["current"]):
                count["ready"] -= 1

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._path, weights_only=False)
        self._kept = trainer.global_step


class Final(Checkpoint):
    """Keeps the end of a training as `best.ckpt`: of one whose epochs were chosen before, the last one is the best."""

    def __init__(self, folder: Path) -> None:
        """Keep it in this folder."""
        self._path = folder / BEST

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep it, also where a restart had nothing left to train."""
        trainer.save_checkpoint(self._path, weights_only=False)


class Patience(EarlyStopping):
    """Stops after so many validations without a lower `val/natural/rmse`; a training that was stopped stays so.

    The patience is the configuration's, not the checkpoint's: more of it lets a stopped training go on.
    """

    def __init__(self, patience: int) -> None:
        """Wait for so many validations."""
        super().__init__(MONITOR, mode="min", patience=patience)

    def load_state_dict(self, state_dict: State) -> None:
        """Go on counting."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience = patience
        if self.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED and self.wait_count < patience:
            self.stopping_reason, self.stopping_reason_message = EarlyStoppingReason.NOT_STOPPED, None
            self.stopped_epoch = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say again that the training was stopped, which Lightning's checkpoints do not."""
        if self.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            trainer.should_stop = True


def _validation_follows(trainer: pl.Trainer, batch_idx: int) -> bool:
    every = trainer.val_check_batch
    if not isinstance(every, int):
        return False
    index = trainer.fit_loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    return (index + 1) % every == 0
