"""Linear reservoirs with learnt constants, and a linear read-out of each pixel: a hydrologist's smallest network.

A reservoir that empties by the share 1 / k a day and is filled with x has the state s_t = a s_(t-1) + (1 - a) x_t with
a = exp(-1/k) (Nash 1957), so that after T steps s = sum over t of (1 - a) a^(T - t) x_t, which needs no recurrence.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mlssm.config import Channels, ModelSettings
from mlssm.models.prediction import Prediction

FIRST_DAYS = (1.0, 30.0)
"""Least and most decay constant k at the start, days."""


class ReservoirSettings(ModelSettings):
    """How many reservoirs there are."""

    title: ClassVar[str] = "Linear reservoirs"

    reservoirs: int = Field(ge=1)

    def reach(self, steps: int) -> int | None:
        """No neighbour."""
        return 0

    def build(self, channels: Channels, *, spread: bool) -> Reservoirs:
        """The network for these channels."""
        return Reservoirs(len(channels.dynamic), len(channels.static), self.reservoirs)


class Reservoirs(nn.Module):
    """Each weather variable fills `reservoirs` of its own; SSM is linear in their states and the static features."""

    def __init__(self, dynamic: int, static: int, reservoirs: int) -> None:
        """Start with constants that are spaced evenly in their logarithm, and a read-out of 0.5."""
        super().__init__()
        least, most = (math.log(days) for days in FIRST_DAYS)
        self.log_days = nn.Parameter(torch.linspace(least, most, reservoirs).repeat(dynamic, 1))
        self.read_out = nn.Conv2d(dynamic * reservoirs + static, 1, kernel_size=1)
        nn.init.zeros_(self.read_out.weight)
        assert self.read_out.bias is not None
        nn.init.constant_(self.read_out.bias, 0.5)

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        """SSM, which a linear read-out does not bound."""
        filled = torch.einsum("btchw,tck->bckhw", dynamic, self.weights(dynamic.shape[1])).flatten(1, 2)
        return Prediction(self.read_out(torch.cat([filled, static], dim=1)))

    def weights(self, steps: int) -> Tensor:
        """What of each step, oldest first, is in the reservoirs after the last one, [T, dynamic, reservoirs]."""
        age = torch.arange(steps - 1, -1, -1, device=self.log_days.device).view(-1, 1, 1)
        rate = torch.exp(-self.log_days)  # 1 / k
        return -torch.expm1(-rate) * torch.exp(-age * rate)
