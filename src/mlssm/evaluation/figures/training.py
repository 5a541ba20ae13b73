"""The course of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import BLUE, BROWN, TITLE_SIZE, tidy
from mlssm.scores.epoch import EpochPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def loss_curves(history: Sequence[EpochPoint]) -> Figure:
    """Training loss and validation RMSE by epoch; the best epoch is marked.

    Args:
        history: Epochs in order.

    Raises:
        ValueError: There is no epoch.
    """
    if not history:
        raise ValueError("loss curves need at least one epoch")
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    epochs = [point.epoch for point in history]
    losses, errors = [point.train_loss for point in history], [point.val_rmse for point in history]
    _draw_curve(upper, epochs, losses, BROWN, "training loss")
    _draw_curve(lower, epochs, errors, BLUE, "validation RMSE (SSM)")
    _mark_best(lower, epochs, errors)
    upper.set_title("Course of the training", fontsize=TITLE_SIZE, color=INK)
    lower.set_xlabel("epoch")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_curve(axes: Axes, epochs: list[int], values: list[float], colour: str, label: str) -> None:
    axes.plot(epochs, values, color=colour, linewidth=1.6, marker="o", markersize=3)
    axes.set_ylabel(label)
    tidy(axes)


def _mark_best(axes: Axes, epochs: list[int], errors: list[float]) -> None:
    if all(math.isnan(error) for error in errors):
        return
    best = int(np.nanargmin(errors))
    axes.axvline(epochs[best], color=INK, linewidth=0.8, linestyle=":")
    text = f"best: {errors[best]:.3f}, epoch {epochs[best]}"
    axes.annotate(text, (0.98, 0.95), xycoords="axes fraction", ha="right", va="top", fontsize=9, color=INK)
