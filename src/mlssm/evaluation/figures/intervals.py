"""How well intervals and probabilities are calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import BLUE, GREY, TITLE_SIZE, column, first_seen, look, require, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def calibration(pit: pd.DataFrame, reliability: pd.DataFrame, title: str) -> Figure:
    """Histogram of the labels' ranks, and observed against forecast probabilities of wet states.

    Args:
        pit: `rank`, `share`, `low`, `high`, a row a bin of equal width; flat where calibrated.
        reliability: `threshold`, `forecast`, `observed`, `low`, `high`; on the diagonal where calibrated.
        title: Title, e.g. `test`.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(pit, ("rank", "share", "low", "high"), "calibration")
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_ranks(left, pit)
    _draw_reliability(right, reliability)
    figure.suptitle(f"Calibration: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw_ranks(axes: Axes, pit: pd.DataFrame) -> None:
    share = column(pit, "share")
    arms = np.maximum([share - column(pit, "low"), column(pit, "high") - share], 0)
    axes.bar(column(pit, "rank"), share, width=0.9 / len(pit), color=BLUE, yerr=arms, ecolor=GREY)
    axes.axhline(1 / len(pit), color=INK, linewidth=1.0, linestyle="--")
    axes.set(xlim=(0, 1), xlabel="rank of the label in its forecast (-)", ylabel="share of labels (-)")
    tidy(axes)


def _draw_reliability(axes: Axes, reliability: pd.DataFrame) -> None:
    names = first_seen(reliability["threshold"])
    for name in names:
        rows = reliability[reliability["threshold"].astype(str) == name]
        observed = column(rows, "observed")
        arms = np.maximum([observed - column(rows, "low"), column(rows, "high") - observed], 0)
        colour, marker = look(names, name)
        axes.errorbar(
            column(rows, "forecast"), observed, arms, color=colour, marker=marker, linewidth=1.2, label=f"SSM > {name}"
        )
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1.0, linestyle="--")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="forecast probability (-)", ylabel="observed share (-)")
    if names:
        axes.legend(frameon=False, fontsize=9)
    tidy(axes, "both")
