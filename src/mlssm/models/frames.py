"""Inputs as the peers take them, which know no static features of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlssm.errors import ConfigError


def frames(dynamic: Tensor, static: Tensor) -> Tensor:
    """Static features beside the weather of every step, [B, T, dynamic + static, H, W]."""
    return torch.cat([dynamic, static[:, None].expand(-1, dynamic.shape[1], -1, -1, -1)], dim=2)


def check_steps(dynamic: Tensor, steps: int) -> None:
    """Refuse a window of another length than a network was made for.

    Raises:
        ConfigError: It has more or fewer steps.
    """
    if dynamic.shape[1] != steps:
        raise ConfigError(
            f"the window has {dynamic.shape[1]} steps and the network takes {steps}; "
            "set model.steps to the window's: model.lag, or 1 with model.window=aggregate"
        )


class InputDropout(nn.Module):
    """Sets whole weather variables to their mean (0) over a patch and window while training."""

    def __init__(self, share: float) -> None:
        """Drop this share of variables, 0..1."""
        super().__init__()
        self.channels = nn.Dropout3d(share)  # drops whole channels of [B, C, ...]

    def forward(self, dynamic: Tensor) -> Tensor:
        """`dynamic`, [B, T, C, H, W], with variables dropped."""
        kept: Tensor = self.channels(dynamic.transpose(1, 2)).transpose(1, 2)
        return kept
