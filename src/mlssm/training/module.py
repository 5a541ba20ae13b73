"""The LightningModule: how a network learns and is scored. It knows neither tracking nor search."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from mlssm.config import LossConfig, OptimiserConfig
from mlssm.data.batch import Batch
from mlssm.data.plan import SamplingPlan
from mlssm.models.prediction import Prediction
from mlssm.scores.sums import DISTRIBUTIONS, MeanLoss, ScoreSums, scores
from mlssm.training.losses import TrainingLoss

PROGRESS = ("val/natural/rmse", "val/natural/r2")


class SoilMoistureModule(pl.LightningModule):
    """Trains a network by a masked loss and scores each epoch on the validation split by streaming sums.

    Logs `train/loss` (mean over the epoch's labelled pixels; the natural risk, if reweighted), `val/n` and
    `val/{natural,balanced}/{r2,rmse,mae,corr,bias,r2_cap}`, all of the whole epoch and all processes. The final
    scores of all splits are `mlssm.evaluation`'s.

    Attributes:
        network: From (dynamic, static) of a `Batch` to a `Prediction`.
        loss: What it learns by.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: LossConfig,
        optimiser: OptimiserConfig,
        val_dates: int,
        bins: int,
        plan: SamplingPlan | None = None,
        track_variance: float = math.nan,
    ) -> None:
        """Join the parts.

        Args:
            network: The network to train; for the loss `nll` one that states its spread.
            loss: Which loss.
            optimiser: Learning rate and weight decay.
            val_dates: Number of dates of the validation split.
            bins: Number of SSM bins of the scores.
            plan: How the training patches are drawn and weighed; without one the loss is not reweighted.
            track_variance: Of labels, that is their track's own, for the cap; see `mlssm.scores.sums.scores`.

        Raises:
            ConfigError: `loss.noise` is too small.
            ValueError: Balanced MSE without a plan that has the labels' distribution.
        """
        super().__init__()
        self.network = network
        self.loss = TrainingLoss(loss, plan)
        self.optimiser = optimiser
        self.sums = ScoreSums(val_dates, bins)
        self.mean_loss = MeanLoss()
        self.track_variance = track_variance

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """What the network says."""
        prediction: Prediction = self.network(dynamic, static)
        return prediction

    def training_step(self, batch: Batch) -> Tensor:
        """The loss of a batch, on several processes of the joined one; nothing waits for a GPU."""
        loss = self.loss.of_batch(self.network, batch)
        self.mean_loss.update(*loss)
        # Lightning computes it when the epoch has ended
        self.log("train/loss", self.mean_loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss.mean()

    def on_train_epoch_end(self) -> None:
        """Start the training loss anew before the epoch's checkpoint is written; Lightning keeps what it read."""
        if "train/loss" in self.trainer.callback_metrics:  # read on every process, as computing it joins them
            self.mean_loss.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The training loss so far is that of all processes, which all come here."""
        checkpoint["state_dict"].update(self.mean_loss.joined("mean_loss."))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The training loss so far goes on in the first process."""
        self.mean_loss.keep_on_first(checkpoint["state_dict"], "mean_loss.", self.global_rank)

    def validation_step(self, batch: Batch) -> None:
        """Add a batch to the validation sums."""
        prediction: Prediction = self(batch.dynamic, batch.static).middle(batch.target)
        labels = batch.target, batch.valid, batch.standard_error, batch.attainable
        self.sums.update(prediction.ssm, *labels, batch.date)

    def on_validation_epoch_end(self) -> None:
        """Log the validation scores, and start anew."""
        sums = self.sums.compute()
        self.sums.reset()
        for distribution in DISTRIBUTIONS:
            values = asdict(scores(sums, distribution, self.track_variance))
            self._log("val/n", values.pop("n"))  # the same in both
            for name, value in values.items():
                self._log(f"val/{distribution}/{name}", value)

    def configure_optimizers(self) -> AdamW:
        """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101); biases and the loss's noise do not decay."""
        named = tuple(self.network.named_parameters())
        spared = [p for name, p in named if name.endswith("bias")]
        groups: list[dict[str, Any]] = [
            {"params": [p for name, p in named if not name.endswith("bias")]},
            {"params": [*spared, *self.loss.parameters()], "weight_decay": 0.0},
        ]
        return AdamW(groups, lr=self.optimiser.learning_rate, weight_decay=self.optimiser.weight_decay)

    def _log(self, name: str, value: float) -> None:
        # Lightning rounds plain numbers to float32
        exact = torch.tensor(value, dtype=torch.float64, device=self.device)
        self.log(name, exact, prog_bar=name in PROGRESS, sync_dist=True)
