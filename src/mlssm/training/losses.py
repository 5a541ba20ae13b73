"""Losses over the pixels that have a label."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from mlssm.config import LossConfig
from mlssm.config.dotted import imported
from mlssm.data.batch import Batch
from mlssm.data.plan import SamplingPlan
from mlssm.errors import ConfigError
from mlssm.models.prediction import Prediction
from mlssm.training.balanced import BalancedMSE


class BatchLoss(NamedTuple):
    """What the loss of a batch is the quotient of, both on the batch's device.

    Attributes:
        total: Sum of the losses of the labelled pixels, each times its patch's weight if reweighted; a scalar.
        size: Number of labelled pixels, or the sum of their weights; of patches if reweighted; a scalar.
    """

    total: Tensor
    size: Tensor

    def mean(self) -> Tensor:
        """The loss to learn by, a scalar; 0 with a gradient of 0 where nothing was counted.

        Where several processes train together it is the process's share of the mean over the batches of all of them,
        times their number: the gradients, which are averaged over the processes, are then those of the joined batch,
        however unequal the counts. All processes must call it at the same step.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return self.total / self.size.clamp(min=1)
        joined = self.size.clone()
        dist.all_reduce(joined)
        return self.total * dist.get_world_size() / joined.clamp(min=1)


class PixelLoss(Protocol):
    """An own loss, which `loss.function` names."""

    def __call__(self, prediction: Prediction, target: Tensor, error: Tensor, **settings: float) -> Tensor:
        """The loss of each pixel.

        Args:
            prediction: Of the network, [B, 1, H, W]; 0 where there is no label. Its spread is None unless the loss asks
                for it (`loss.spread`).
            target: The labels, SSM, [B, 1, H, W]; 0 where there is none.
            error: Standard error of each label, SSM, [B, 1, H, W].
            settings: `loss.settings`.

        Returns:
            [B, 1, H, W]; what stands where there is no label does not count.
        """


class TrainingLoss(nn.Module):
    """The loss of a batch.

    A pixel's loss is, with e = prediction - target,

    - `mse`: e^2;
    - `huber`: e^2 / 2 where |e| <= delta, delta (|e| - delta / 2) elsewhere (Huber 1964, doi:10.1214/aoms/1177703732);
    - `balanced_mse`: see `BalancedMSE`;
    - `nll`: (log v + e^2 / v) / 2, v the label's squared standard error plus the squared spread of the network
      (Kendall and Gal 2017, arXiv:1703.04977);
    - of an own loss, what its function gives, see `PixelLoss`.

    With `weigh_labels` each label weighs as much as it is reliable, and the mean is that of the weighted labels.

    Pixels without a label count for nothing, whatever stands there. The batch's loss is the mean over its labelled
    pixels; reweighted it is the mean over patches of weight x (sum over labelled pixels), which estimates the natural
    risk without bias (see `mlssm.data.plan`; a batch's own weighted count in the denominator would bias it).
    """

    def __init__(self, config: LossConfig, plan: SamplingPlan | None = None) -> None:
        """Choose the loss.

        Args:
            config: Which loss, and its parameters in SSM units.
            plan: Says whether the loss is reweighted, and how the drawn labels are distributed.

        Raises:
            ConfigError: `loss.noise` is too small.
            ValueError: Balanced MSE without the labels' distribution.
        """
        super().__init__()
        self.config = config
        self.reweighted = plan is not None and plan.reweighted
        self.own: PixelLoss | None = None
        if config.function is not None:
            self.own = imported("loss.function", config.function, "my_package.losses.pinball")
        self.balanced: BalancedMSE | None = None
        if config.name == "balanced_mse":
            if plan is None or plan.labels is None:
                raise ValueError("balanced_mse needs a sampling plan with the labels' distribution")
            self.balanced = BalancedMSE(plan.labels, config.noise, learn_noise=config.learn_noise)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of a network on a batch, a scalar; see `BatchLoss.mean` and `of_batch`."""
        return self.of_batch(network, batch).mean()

    def of_batch(self, network: nn.Module, batch: Batch) -> BatchLoss:
        """The loss of a network on a batch, its sum and what it is the mean over apart.

        Args:
            network: From (dynamic, static) to a `Prediction`; for `nll` one with a spread.
            batch: What it is fed with.
        """
        pixels = self.pixels(network, batch)
        labels = batch.valid
        if self.config.weigh_labels:
            labels = torch.where(batch.valid, batch.reliability, 0.0)
            pixels = pixels * labels
        if self.reweighted:
            patches = torch.full((), len(batch.weight), device=pixels.device)
            return BatchLoss((batch.weight * pixels.flatten(1).sum(dim=1)).sum(), patches)
        return BatchLoss(pixels.sum(), labels.sum())

    def pixels(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of each pixel, 0 where there is no label, [B, 1, H, W].

        Raises:
            ValueError: `nll`, and the network states no spread.
        """
        valid, target = batch.valid, torch.where(batch.valid, batch.target, 0.0)
        found: Prediction = network(batch.dynamic, batch.static).middle(target)
        prediction = _at(valid, found.mean, target)
        if self.own is not None:
            return self._own(self.own, valid, found, target, batch.standard_error)
        if self.config.name == "nll":
            if found.spread is None:
                raise ValueError("the loss nll needs a network that states its spread")
            noise = torch.where(valid, batch.standard_error, 0.0) ** 2
            # written out: torch's own looks for negative variances, which makes a GPU wait
            total = torch.where(valid, noise + found.spread.to(target.dtype) ** 2, 1.0)
            return (total.log() + (prediction - target) ** 2 / total) / 2
        if self.balanced is not None:
            return torch.where(valid, self.balanced(prediction, target), 0.0)
        if self.config.name == "huber":
            return functional.huber_loss(prediction, target, reduction="none", delta=self.config.delta)
        return functional.mse_loss(prediction, target, reduction="none")

    def _own(self, own: PixelLoss, valid: Tensor, found: Prediction, target: Tensor, error: Tensor) -> Tensor:
        """An own loss, 0 where there is no label, [B, 1, H, W].

        Raises:
            ConfigError: It gives something of another shape.
        """
        spread = None if found.spread is None else torch.where(valid, found.spread.to(target.dtype), 1.0)
        prediction = Prediction(_at(valid, found.mean, target), spread)
        loss = own(prediction, target, torch.where(valid, error, 0.0), **self.config.settings)
        if loss.shape != target.shape:
            raise ConfigError(
                f"loss.function={self.config.function} gives a loss of shape {list(loss.shape)}; it has to give one of "
                f"each pixel, {list(target.shape)}"
            )
        return torch.where(valid, loss, 0.0)


def _at(valid: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
    """The prediction where there is a label, 0 elsewhere; before the arithmetic, as NaN times 0 is NaN."""
    return torch.where(valid, prediction.to(target.dtype), 0.0)
