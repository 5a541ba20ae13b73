"""The course of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import BLUE, BROWN, TITLE_SIZE, tidy
from mlssm.scores.epoch import EpochPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes


NO_COURSES: Mapping[str, Sequence[EpochPoint]] = {}


def loss_curves(history: Sequence[EpochPoint], courses: Mapping[str, Sequence[EpochPoint]] = NO_COURSES) -> Figure:
    """Training loss and validation RMSE by epoch; the best epoch is marked.

    Args:
        history: Epochs in order.
        courses: Of trainings that were validated in its stead, by name: a line each.

    Raises:
        ValueError: There is no epoch.
    """
    if not history and not any(courses.values()):
        raise ValueError("loss curves need at least one epoch")
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    epochs = [point.epoch for point in history]
    losses, errors = [point.train_loss for point in history], [point.val_rmse for point in history]
    _draw_curve(upper, epochs, losses, BROWN, "training loss")
    if courses:
        _draw_courses(lower, courses)
    else:
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


def _draw_courses(axes: Axes, courses: Mapping[str, Sequence[EpochPoint]]) -> None:
    for place, (name, points) in enumerate(courses.items()):
        errors, colour = np.array([point.val_rmse for point in points]), f"C{place % 10}"
        epochs = np.array([point.epoch for point in points])
        axes.plot(epochs, errors, color=colour, linewidth=1.4, label=name)
        if np.isfinite(errors).any():
            best = int(np.nanargmin(errors))
            axes.plot(epochs[best], errors[best], color=colour, marker="o", markersize=5)
    axes.set_ylabel("RMSE on the held-out season (SSM)")
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)


def _mark_best(axes: Axes, epochs: list[int], errors: list[float]) -> None:
    if all(math.isnan(error) for error in errors):
        return
    best = int(np.nanargmin(errors))
    axes.axvline(epochs[best], color=INK, linewidth=0.8, linestyle=":")
    text = f"best: {errors[best]:.3f}, epoch {epochs[best]}"
    axes.annotate(text, (0.98, 0.95), xycoords="axes fraction", ha="right", va="top", fontsize=9, color=INK)
