"""Balanced MSE: a squared error that does not lean towards the labels that training has most of."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mlssm.errors import ConfigError


class BalancedMSE(nn.Module):
    """Balanced MSE by numerical integration over bins (Ren et al. 2022, arXiv:2203.16427, BNI).

    With s the standard deviation of the assumed error, p_b the share of training labels in bin b and y_b the bin's
    middle, a pixel's loss is

        (prediction - target)^2 + 2 s^2 log sum_b p_b exp(-(prediction - y_b)^2 / (2 s^2)),

    2 s^2 times the negative log-likelihood of a label where labels are as frequent as p, for a prediction that is meant
    for labels that are all equally frequent. A learnt s gets no gradient through the leading 2 s^2.
    """

    centres: Tensor
    log_shares: Tensor
    log_noise: Tensor

    def __init__(self, labels: npt.NDArray[np.float64], noise: float, *, learn_noise: bool) -> None:
        """Take the labels' distribution.

        Args:
            labels: Share of the training labels in each of equal bins of SSM over 0..1.
            noise: s, SSM.
            learn_noise: Whether log s is a parameter that starts there; s stays at least a bin wide.

        Raises:
            ConfigError: s is less than a bin is wide: the sum would not be the integral.
        """
        super().__init__()
        self.width = 1 / len(labels)
        if noise < self.width:
            raise ConfigError(
                f"loss.noise={noise:g} is below the label histogram's bin of {self.width:g}; set it to that or more"
            )
        filled = np.flatnonzero(labels > 0)
        # made again from the data, so not part of the weights
        self.register_buffer("centres", torch.tensor((filled + 0.5) * self.width).float(), persistent=False)
        self.register_buffer("log_shares", torch.tensor(np.log(labels[filled])).float(), persistent=False)
        if learn_noise:
            self.log_noise = nn.Parameter(torch.tensor(math.log(noise)))
        else:
            self.register_buffer("log_noise", torch.tensor(math.log(noise)), persistent=False)

    @property
    def noise(self) -> Tensor:
        """The standard deviation s, SSM."""
        return self.log_noise.clamp(min=math.log(self.width)).exp()

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of each pixel, in the shape of `prediction`."""
        twice = 2 * self.noise**2
        exponents = self.log_shares - (prediction.unsqueeze(-1) - self.centres) ** 2 / twice
        likelihood = (prediction - target) ** 2 / twice + exponents.logsumexp(dim=-1)
        return likelihood * twice.detach()
