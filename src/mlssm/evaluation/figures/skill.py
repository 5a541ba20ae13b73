"""How good a network is beside the others, and how much of that is the seed's luck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import (
    BLUE,
    BROWN,
    GREY,
    TEAL,
    TITLE_SIZE,
    column,
    first_seen,
    interval_arms,
    legend_below,
    number,
    require,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

KINDS: Final = (("network", BLUE), ("control", TEAL), ("baseline", BROWN), ("truth", GREY))
LOWEST = -1.0  # a hopeless model must not squeeze the others


def skill_bars(frame: pd.DataFrame, title: str) -> Figure:
    """R2 of all models with their intervals, and the cap as a line.

    The axis ends at -1; a bar that goes on has its value written in.

    Args:
        frame: A row a model, in the order of the bars: `model`, `kind` (`network`, `control`, `baseline` or `truth`),
            `r2`; where known `r2_low` and `r2_high`, and `r2_cap`, which is the same for all on the same pixels. NaN =
            not defined.
        title: Title, e.g. `test, natural`.

    Raises:
        ValueError: No row, a column is missing, or a kind is unknown.
    """
    require(frame, ("model", "kind", "r2"), "skill_bars")
    colours = _kind_colours(frame)
    figure = Figure(figsize=(7.2, 0.42 * len(frame) + 1.9), layout="constrained")
    axes = figure.subplots()
    _draw_bars(axes, frame, colours)
    kinds = [Patch(color=colour, label=kind) for kind, colour in KINDS if kind in set(frame["kind"])]
    legend_below(figure, 4, handles=kinds + _draw_cap(axes, column(frame, "r2_cap")))
    axes.set_yticks(range(len(frame)), [str(model) for model in frame["model"]])
    axes.set_ylim(len(frame) - 0.5, -0.5)
    axes.set_xlabel("R² (-)")
    tidy(axes, "x")
    axes.set_title(f"Skill beside the others: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def seeds(frame: pd.DataFrame, title: str) -> Figure:
    """R2 and RMSE of trainings that differ in their seed alone, with mean and standard deviation.

    Args:
        frame: A row a seed: `seed`, `r2`, `rmse` (SSM units).
        title: Title, e.g. `test, natural`.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("seed", "r2", "rmse"), "seeds")
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    for axes, score, label in zip(figure.subplots(1, 2), ("r2", "rmse"), ("R² (-)", "RMSE (SSM)"), strict=True):
        _draw_seeds(axes, first_seen(frame["seed"]), column(frame, score))
        axes.set_ylabel(label)
    figure.suptitle(f"Spread over seeds: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def _kind_colours(frame: pd.DataFrame) -> list[str]:
    known = dict(KINDS)
    unknown = sorted(set(frame["kind"]) - set(known))
    if unknown:
        raise ValueError(f"kind {unknown} is not one of {list(known)}")
    return [known[kind] for kind in frame["kind"]]


def _draw_bars(axes: Axes, frame: pd.DataFrame, colours: list[str]) -> None:
    r2, arms, places = column(frame, "r2"), interval_arms(frame, "r2"), np.arange(len(frame))
    axes.barh(places, r2, color=colours, height=0.65)
    axes.errorbar(r2, places, xerr=arms, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    axes.axvline(0, color=INK, linewidth=0.8)
    lowest = np.nanmin([0.0, *r2, *(r2 - arms[0])])
    axes.set_xlim(max(1.05 * lowest - 0.02, LOWEST), 1.12)
    _write_values(axes, r2, r2 + np.nan_to_num(arms[1]))


def _draw_cap(axes: Axes, cap: npt.NDArray[np.float64]) -> list[Artist]:
    """A line where the cap is known, for the legend."""
    known = cap[np.isfinite(cap)]
    label = "cap"
    return [axes.axvline(value, color=INK, linestyle="--", linewidth=1.2, label=label) for value in known[:1]]


def _write_values(axes: Axes, r2: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]) -> None:
    """The value at the end of each bar, right of zero where the bar goes left."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    for place, (value, end) in enumerate(zip(r2, ends, strict=True)):
        colour = GREY if np.isnan(value) else INK
        text = "not defined" if np.isnan(value) else number(value)
        axes.text(max(np.nan_to_num(end), 0) + 0.02, place, text, va="center", fontsize=9, color=colour, bbox=box)


def _draw_seeds(axes: Axes, names: list[str], values: npt.NDArray[np.float64]) -> None:
    axes.scatter(np.arange(len(names)), values, color=BLUE, s=36, zorder=3)
    known = values[np.isfinite(values)]
    if known.size:
        mean, text = known.mean(), f"mean {known.mean():.3f}"
        if known.size > 1:
            spread = known.std(ddof=1)
            axes.axhspan(mean - spread, mean + spread, color=BLUE, alpha=0.15, linewidth=0)
            text += f", sd {spread:.3f} of {known.size} seeds"
        else:
            text += ", one seed: no spread"
        axes.axhline(mean, color=BROWN, linewidth=1.4)
        axes.set_title(text, fontsize=9, color=INK)
    axes.set_xticks(np.arange(len(names)), names)
    axes.set_xlabel("seed")
    axes.margins(x=0.15, y=0.25)
    tidy(axes)
