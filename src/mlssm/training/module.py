"""The LightningModule: how a network learns and is scored. It knows neither tracking nor search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from mlssm.config import LossConfig, OptimiserConfig
from mlssm.training.batch import Batch
from mlssm.training.losses import masked_loss
from mlssm.training.metrics import DISTRIBUTIONS, ScoreSums, scores

SCORED = ("val", "test")
PROGRESS = ("val/natural/rmse", "val/natural/r2")


class SoilMoistureModule(pl.LightningModule):
    """Trains a network by a masked loss and scores it by streaming sums.

    Logs `train/loss` (mean over the epoch's labelled pixels) and, for val and test, `{split}/n` and
    `{split}/{natural,balanced}/{r2,rmse,mae,corr,bias,r2_ceiling}`, all of the whole epoch and all processes.

    Attributes:
        network: From (dynamic, static) of a `Batch` to SSM, [B, 1, H, W].
        results: The last epoch's sums of each split that was scored, float64 [dates, bins, sums] on the CPU, for
            `mlssm.training.metrics.scores`, `per_date` and `per_bin`.
    """

    def __init__(
        self, network: nn.Module, loss: LossConfig, optimiser: OptimiserConfig, dates: Mapping[str, int], bins: int
    ) -> None:
        """Join the parts.

        Args:
            network: The network to train.
            loss: Which loss.
            optimiser: Learning rate and weight decay.
            dates: Number of dates of the splits; `val` and `test` are read.
            bins: Number of SSM bins of the scores.
        """
        super().__init__()
        self.network = network
        self.loss = loss
        self.optimiser = optimiser
        self.sums = nn.ModuleDict({split: ScoreSums(dates[split], bins) for split in SCORED})
        self.results: dict[str, Tensor] = {}

    def forward(self, dynamic: Tensor, static: Tensor) -> Tensor:
        """The network's SSM, [B, 1, H, W]."""
        prediction: Tensor = self.network(dynamic, static)
        return prediction

    def training_step(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        loss = masked_loss(self(batch.dynamic, batch.static), batch.target, batch.valid, self.loss)
        # weighed by labelled pixels, so that the epoch's value does not depend on the batching
        pixels = int(batch.valid.sum())
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=pixels, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Add a batch to the validation sums."""
        self._add("val", batch)

    def test_step(self, batch: Batch) -> None:
        """Add a batch to the test sums."""
        self._add("test", batch)

    def predict_step(self, batch: Batch) -> Tensor:
        """SSM of a batch, float32 [B, 1, H, W]."""
        prediction: Tensor = self(batch.dynamic, batch.static)
        return prediction.float()

    def on_validation_epoch_end(self) -> None:
        """Log the validation scores."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the test scores."""
        self._log_scores("test")

    def configure_optimizers(self) -> AdamW:
        """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101); biases do not decay."""
        named = tuple(self.network.named_parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for name, p in named if not name.endswith("bias")]},
            {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0},
        ]
        return AdamW(groups, lr=self.optimiser.learning_rate, weight_decay=self.optimiser.weight_decay)

    def _add(self, split: str, batch: Batch) -> None:
        prediction = self(batch.dynamic, batch.static)
        self._metric(split).update(prediction, batch.target, batch.valid, batch.standard_error, batch.date)

    def _log_scores(self, split: str) -> None:
        metric = self._metric(split)
        sums = metric.compute().cpu()
        metric.reset()
        self.results[split] = sums
        for distribution in DISTRIBUTIONS:
            values = asdict(scores(sums, distribution))
            self._log(f"{split}/n", values.pop("n"))  # the same in both
            for name, value in values.items():
                self._log(f"{split}/{distribution}/{name}", value)

    def _metric(self, split: str) -> ScoreSums:
        metric = self.sums[split]
        assert isinstance(metric, ScoreSums)
        return metric

    def _log(self, name: str, value: float) -> None:
        exact = torch.tensor(
            value, dtype=torch.float64, device=self.device
        )  # Lightning rounds plain numbers to float32
        self.log(name, exact, prog_bar=name in PROGRESS, sync_dist=True)
