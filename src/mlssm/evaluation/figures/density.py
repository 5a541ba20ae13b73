"""Predicted against retrieved soil moisture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import TITLE_SIZE, number, say
from mlssm.scores.histogram import DensityHistogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mlssm.scores.sums import Scores


def density(histogram: DensityHistogram, title: str, scores: Scores) -> Figure:
    """Predicted against retrieved SSM as a density, with the 1:1 line and the scores.

    Args:
        histogram: Counts of pixels; the density is their share per unit of predicted and of retrieved SSM.
        title: Title, e.g. `ridge, test, natural`.
        scores: Scores to write in; what is not defined is written as a dash.
    """
    figure = Figure(figsize=(5.8, 5.0), layout="constrained")
    axes = figure.subplots()
    _draw_density(figure, axes, histogram)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1.2, linestyle="--", label="1:1", path_effects=halo)
    paper = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "boxstyle": "round,pad=0.4"}
    axes.text(0.03, 0.97, _scores_text(scores), transform=axes.transAxes, va="top", fontsize=9, color=INK, bbox=paper)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="retrieved SSM (-)", ylabel="predicted SSM (-)")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    axes.set_title(title, fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw_density(figure: Figure, axes: Axes, histogram: DensityHistogram) -> None:
    if histogram.n == 0:
        say(axes, "no labelled pixels")
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
        ("cap", scores.r2_cap),
        ("RMSE", scores.rmse),
        ("bias", scores.bias),
        ("corr", scores.corr),
    )
    return "\n".join([*(f"{name} = {number(value)}" for name, value in lines), f"n = {scores.n:,}"])
