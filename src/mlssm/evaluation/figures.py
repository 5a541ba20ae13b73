"""Figures of a run: predicted against retrieved, the losses, and one date's maps. None touches pyplot's state."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from mlssm.evaluation import AnyFloats
from mlssm.evaluation.cartography import (
    DIFFERENCE_COLOURS,
    DIFFERENCE_RANGE,
    INK,
    SSM_COLOURS,
    SSM_LABEL,
    SSM_RANGE,
    draw_map,
    left_out,
)
from mlssm.evaluation.histogram import DensityHistogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from mlssm.training.metrics import Scores

MOST_AREAS = 5
TRAIN_COLOUR = "#b98345"
VAL_COLOUR = "#2069a3"
MAP_TITLES = ("retrieved", "predicted", "predicted - retrieved")


@dataclass(frozen=True)
class EpochPoint:
    """One epoch of a training.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean training loss; NaN = not computed.
        val_rmse: RMSE on the validation split, SSM units; NaN = not computed.
    """

    epoch: int
    train_loss: float
    val_rmse: float


@dataclass(frozen=True)
class AreaMaps:
    """One area's maps on one date.

    Attributes:
        area: Its name.
        retrieved: SSM from backscatter [h, w], 0..1; NaN = masked.
        predicted: SSM from the network [h, w], 0..1; NaN = no prediction.
        pixel_m: Pixel size, metres.
    """

    area: str
    retrieved: AnyFloats
    predicted: AnyFloats
    pixel_m: float

    def __post_init__(self) -> None:
        """Refuse maps that do not lie over each other.

        Raises:
            ValueError: The shapes differ.
        """
        if self.retrieved.shape != self.predicted.shape:
            raise ValueError(f"maps of {self.area} differ in shape: {self.retrieved.shape}, {self.predicted.shape}")

    @property
    def aspect(self) -> float:
        """Height over width."""
        height, width = self.retrieved.shape
        return float(height / width)


def density(histogram: DensityHistogram, title: str, scores: Scores) -> Figure:
    """Predicted against retrieved SSM as a density, with the 1:1 line and the scores.

    Args:
        histogram: Counts of pixels; the density is their share per unit of predicted and of retrieved SSM.
        title: Title, e.g. `ConvLSTM, test, natural`.
        scores: Scores to write in; what is not defined is written as a dash.
    """
    figure = Figure(figsize=(5.8, 5.0), layout="constrained")
    axes = figure.subplots()
    _draw_density(figure, axes, histogram)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1.2, linestyle="--", label="1:1", path_effects=halo)
    axes.text(
        0.03, 0.97, _scores_text(scores), transform=axes.transAxes, va="top", fontsize=9, color=INK, bbox=_paper()
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="retrieved SSM (-)", ylabel="predicted SSM (-)")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.set_title(title, fontsize=11, color=INK)
    return figure


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
    _draw_curve(upper, epochs, losses, TRAIN_COLOUR, "training loss")
    _draw_curve(lower, epochs, errors, VAL_COLOUR, "validation RMSE (SSM)")
    _mark_best(lower, epochs, errors)
    lower.set_xlabel("epoch")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def map_triplet(areas: Sequence[AreaMaps], date: dt.date) -> Figure:
    """One date's maps side by side, one row an area: retrieved, predicted, difference.

    Masked pixels are light grey; colour bars and a scale bar are drawn. The first five areas are shown, and the title
    says how many are left out.

    Args:
        areas: Maps by area.
        date: The local day of the image.

    Raises:
        ValueError: There is no area.
    """
    if not areas:
        raise ValueError("a figure of maps needs at least one area")
    shown = areas[:MOST_AREAS]
    heights = [min(max(area.aspect, 0.3), 2.0) for area in shown]
    figure = Figure(figsize=(9.0, 2.85 * sum(heights) + 1.25), layout="constrained")
    grid = figure.subplots(len(shown), 3, squeeze=False, gridspec_kw={"height_ratios": heights})
    images = [_draw_row(row, area) for row, area in zip(grid, shown, strict=True)]
    for axes, title in zip(grid[0], MAP_TITLES, strict=True):
        axes.set_title(title, fontsize=10, color=INK)
    ssm, difference = images[0]
    figure.colorbar(ssm, ax=grid[:, :2], label=SSM_LABEL, location="bottom", shrink=0.8, aspect=40, pad=0.015)
    figure.colorbar(
        difference,
        ax=grid[:, 2:],
        label="difference",
        location="bottom",
        shrink=0.9,
        aspect=20,
        pad=0.015,
        extend="both",
    )
    figure.suptitle(f"Soil moisture on {date.isoformat()}{left_out(len(areas), MOST_AREAS)}", fontsize=12, color=INK)
    return figure


def _draw_density(figure: Figure, axes: Axes, histogram: DensityHistogram) -> None:
    if histogram.n == 0:
        axes.text(0.5, 0.5, "no labelled pixels", transform=axes.transAxes, ha="center", color=INK)
        return
    cell = histogram.n * np.outer(np.diff(histogram.edges), np.diff(histogram.edges))
    shares = np.ma.masked_equal(histogram.counts, 0) / cell
    # Twofold at least: a logarithmic scale needs two ends, and one filled bin has one value.
    scale = LogNorm(shares.min(), max(shares.max(), 2 * shares.min()))
    mesh = axes.pcolormesh(histogram.edges, histogram.edges, shares, norm=scale, cmap="YlGnBu")
    figure.colorbar(mesh, ax=axes, label="density of pixels (1 = evenly spread)", shrink=0.85)


def _scores_text(scores: Scores) -> str:
    lines = (
        ("R$^2$", scores.r2),
        ("ceiling", scores.r2_ceiling),
        ("RMSE", scores.rmse),
        ("bias", scores.bias),
        ("corr", scores.corr),
    )
    written = [f"{name} = {'-' if math.isnan(value) else format(value, '.3f')}" for name, value in lines]
    return "\n".join([*written, f"n = {scores.n:,}"])


def _paper() -> dict[str, object]:
    return {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "boxstyle": "round,pad=0.4"}


def _draw_curve(axes: Axes, epochs: list[int], values: list[float], colour: str, label: str) -> None:
    axes.plot(epochs, values, color=colour, linewidth=1.6, marker="o", markersize=3)
    axes.set_ylabel(label)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _mark_best(axes: Axes, epochs: list[int], errors: list[float]) -> None:
    if all(math.isnan(error) for error in errors):
        return
    best = int(np.nanargmin(errors))
    axes.axvline(epochs[best], color=INK, linewidth=0.8, linestyle=":")
    text = f"best: {errors[best]:.3f}, epoch {epochs[best]}"
    axes.annotate(text, (0.98, 0.95), xycoords="axes fraction", ha="right", va="top", fontsize=9, color=INK)


def _draw_row(row: Sequence[Axes], area: AreaMaps) -> tuple[AxesImage, AxesImage]:
    retrieved, predicted, difference = row
    ssm = draw_map(retrieved, area.retrieved, area.pixel_m, SSM_COLOURS, SSM_RANGE, scale_bar=True)
    draw_map(predicted, area.predicted, area.pixel_m, SSM_COLOURS, SSM_RANGE)
    error = area.predicted - area.retrieved
    image = draw_map(difference, error, area.pixel_m, DIFFERENCE_COLOURS, DIFFERENCE_RANGE)
    retrieved.set_ylabel(area.area, fontsize=9, color=INK)
    return ssm, image
