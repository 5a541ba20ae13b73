"""How well wet states are found: the performance diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import GREY, GRID, TITLE_SIZE, column, first_seen, legend_below, look, require, say

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CSI_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
FREQUENCY_BIAS = (0.5, 1.0, 2.0)


def detection(frame: pd.DataFrame, title: str) -> Figure:
    """Detection of wet states as a performance diagram (Roebber 2009, doi:10.1175/2008WAF2222159.1).

    The upper right corner is perfect. Curves are equal CSI, straight lines equal frequency bias: wet states predicted
    for each that was there. A point is labelled with its threshold.

    Args:
        frame: A row a model and threshold: `model`, `threshold` (SSM from which a pixel is wet), `pod` (probability of
            detection) and `far` (false alarm ratio), 0..1; NaN where there was nothing to detect, or no alarm.
        title: Title, e.g. `test`.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("model", "threshold", "pod", "far"), "detection")
    figure = Figure(figsize=(5.8, 5.8), layout="constrained")
    axes = figure.subplots()
    _draw_background(axes)
    names = first_seen(frame["model"])
    for name in names:
        _draw_model(axes, frame[frame["model"] == name].sort_values("threshold"), names, name)
    if not np.isfinite(column(frame, "pod") + column(frame, "far")).any():
        say(axes, "no wet state to detect, or no alarm")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="success ratio, 1 - FAR (-)", ylabel="probability of detection, POD (-)")
    legend_below(figure, 2)
    axes.set_title(f"Detection of wet states: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw_background(axes: Axes) -> None:
    ratio = np.linspace(0.005, 1, 200)
    success, pod = np.meshgrid(ratio, ratio)
    csi = 1 / (1 / success + 1 / pod - 1)
    curves = axes.contour(success, pod, csi, levels=CSI_LEVELS, colors=GREY, linewidths=0.7)
    axes.clabel(curves, fmt=lambda level: f"CSI {level:g}", fontsize=7)
    for bias in FREQUENCY_BIAS:
        axes.plot([0, min(1, 1 / bias)], [0, min(1, bias)], color=GRID, linewidth=1.0, zorder=0.5)
        end = (min(1, 1 / bias) * 0.97, min(1, bias) * 0.97)
        axes.annotate(f"bias {bias:g}", end, fontsize=7, color=GREY, ha="right", va="top")


def _draw_model(axes: Axes, rows: pd.DataFrame, names: list[str], name: str) -> None:
    colour, marker = look(names, name)
    success, pod = 1 - column(rows, "far"), column(rows, "pod")
    axes.plot(success, pod, color=colour, marker=marker, markersize=6, linewidth=1.2, label=name)
    for x, y, threshold in zip(success, pod, column(rows, "threshold"), strict=True):
        if np.isfinite(x + y):
            axes.annotate(f"{threshold:g}", (x, y), (5, 4), textcoords="offset points", fontsize=8, color=colour)
