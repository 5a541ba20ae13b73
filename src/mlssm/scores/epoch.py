"""The course of a training, an epoch a point."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochPoint:
    """One epoch of a training.

    Attributes:
        epoch: Its number, from 1; 0 before training.
        train_loss: Mean training loss; NaN = not computed.
        val_rmse: RMSE on the validation split, SSM units; NaN = not computed.
    """

    epoch: int
    train_loss: float
    val_rmse: float
