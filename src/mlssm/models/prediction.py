"""What every network says of a map."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_ACCELERATOR = Lock()


class Prediction(NamedTuple):
    """A map of SSM, and how far off it may be.

    Attributes:
        mean: SSM, [B, 1, H, W]. Labels are in 0..1; a network without a bounded head may leave that, see `ssm`.
        spread: Standard deviation of the network's own error, without the label's noise, SSM units, above 0,
            [B, 1, H, W]; None where the network does not state it.
    """

    mean: Tensor
    spread: Tensor | None = None

    @property
    def ssm(self) -> Tensor:
        """The mean within 0..1, [B, 1, H, W]: what is scored, served and mapped.

        All labels are in 0..1, so this never makes an error larger. Losses see the mean itself, which keeps its
        gradient out there.
        """
        return self.mean.clamp(0, 1)

    def middle(self, like: Tensor) -> Prediction:
        """What it says of the middle of its pixels, of as many rows and columns as `like` has, [B, 1, h, w]."""
        top, left = ((whole - part) // 2 for whole, part in zip(self.mean.shape[-2:], like.shape[-2:], strict=True))
        rows, cols = slice(top, top + like.shape[-2]), slice(left, left + like.shape[-1])
        mean, spread = (None if values is None else values[..., rows, cols] for values in self)
        assert mean is not None
        return Prediction(mean, spread)


def predict(network: nn.Module, dynamic: Tensor, static: Tensor) -> Prediction:
    """What a trained network says: on its own device, in evaluation mode and without gradients.

    Args:
        network: The network.
        dynamic: Scaled, [B, T, dynamic, H, W], on any device.
        static: Scaled, [B, static, H, W], on any device.

    Returns:
        The prediction, float32, on the CPU.
    """
    held = next(itertools.chain(network.parameters(), network.buffers()), dynamic)
    network.eval()
    with in_turn(held.device), torch.inference_mode():
        found: Prediction = network(dynamic.to(held.device), static.to(held.device))
        spread = None if found.spread is None else found.spread.float().cpu()
        return Prediction(found.mean.float().cpu(), spread)


def in_turn(device: torch.device) -> AbstractContextManager[Any]:
    """What threads wait for before they use a device: a GPU has memory for one batch, a CPU for one a thread."""
    return nullcontext() if device.type == "cpu" else _ACCELERATOR
