"""Losses over the pixels that have a label."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mlssm.config import LossConfig


def masked_loss(prediction: Tensor, target: Tensor, valid: Tensor, config: LossConfig) -> Tensor:
    """Mean loss over the valid pixels of a batch.

    With e = prediction - target, MSE is the mean of e^2; Huber (Huber 1964, doi:10.1214/aoms/1177703732) the mean of
    e^2 / 2 where |e| <= delta and delta (|e| - delta / 2) elsewhere.

    Args:
        prediction: SSM 0..1, [B, 1, H, W].
        target: SSM 0..1, [B, 1, H, W]; its values where not valid, NaN too, change neither loss nor gradient.
        valid: Bool, [B, 1, H, W].
        config: Which loss, and its delta in SSM units.

    Returns:
        A scalar; 0 with a gradient of 0 where no pixel is valid.
    """
    # before the arithmetic: NaN times 0 is NaN
    predicted = torch.where(valid, prediction.to(target.dtype), 0.0)
    expected = torch.where(valid, target, 0.0)
    if config.name == "huber":
        total = functional.huber_loss(predicted, expected, reduction="sum", delta=config.delta)
    else:
        total = functional.mse_loss(predicted, expected, reduction="sum")
    return total / valid.sum().clamp(min=1)
