"""The untrained network as a candidate: where it is a response already, no epoch may do worse on validation."""

from __future__ import annotations

import itertools
import logging
import math

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader

from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.models.prediction import predict
from mlssm.training.history import History
from mlssm.training.keepers import Best, Patience

log = logging.getLogger(__name__)


class UntrainedCandidate(Callback):
    """Scores the network before its first step, and lets it count as the best so far."""

    def __init__(self, val: PatchDataset, batch_size: int, history: History) -> None:
        """On this data.

        Args:
            val: The validation split.
            batch_size: Patches that are predicted at once.
            history: Is told the score.
        """
        self._val, self._batch_size, self._history = val, batch_size, history

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score it, unless the training goes on from a checkpoint, which has it."""
        (best,) = (each for each in trainer.checkpoint_callbacks if isinstance(each, Best))
        (patience,) = (each for each in trainer.early_stopping_callbacks if isinstance(each, Patience))
        if trainer.global_step or best.best_model_score is not None:
            return
        network = pl_module.network
        assert isinstance(network, nn.Module)
        limit = trainer.limit_val_batches
        rmse = val_rmse(network, self._val, self._batch_size, limit) if trainer.is_global_zero else math.nan
        rmse = trainer.strategy.broadcast(rmse)
        network.train()
        log.info("untrained: val/natural/rmse %.4f", rmse)
        self._history.take_untrained(rmse)
        patience.best_score = torch.tensor(rmse, dtype=torch.float64)
        best.take(trainer, rmse)


def val_rmse(network: nn.Module, val: PatchDataset, batch_size: int, limit: float | None = None) -> float:
    """RMSE of a network on the natural validation split, in one process; it is left in evaluation mode.

    Args:
        network: Any.
        val: The validation split.
        batch_size: Patches that are predicted at once.
        limit: As Lightning's `limit_val_batches`: a number of batches, or as a float a share of them; None: all.
    """
    loader: DataLoader[Batch] = DataLoader(val, batch_size=batch_size)
    count = limit if isinstance(limit, int) else int((1.0 if limit is None else limit) * len(loader))
    total, pixels = 0.0, 0
    for batch in itertools.islice(loader, count):
        found = predict(network, batch.dynamic, batch.static).middle(batch.target).ssm
        error = (found - batch.target)[batch.valid].double()
        total, pixels = total + float(error @ error), pixels + error.numel()
    return math.sqrt(total / pixels) if pixels else math.nan
