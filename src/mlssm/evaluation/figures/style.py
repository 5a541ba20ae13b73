"""What the figures share: colours that the colour-blind tell apart, light grids, words for what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mlssm.evaluation.cartography import INK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by lightness as well as by hue, so also in grey and by every kind of colour vision.
BLUE: Final = "#2069a3"
BROWN: Final = "#b98345"
TEAL: Final = "#7fc4c0"
GREY: Final = "#7d8b95"
DARK: Final = "#5a3412"
COLOURS: Final = (BLUE, BROWN, TEAL, GREY, DARK)
MARKERS: Final = ("o", "s", "^", "D", "v")
GRID: Final = "#e6e6e6"
TITLE_SIZE: Final = 11


def tidy(axes: Axes, grid: Literal["x", "y", "both"] = "y") -> None:
    """A light grid behind the data along `x`, `y` or `both`, and no frame above and to the right."""
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def say(axes: Axes, text: str) -> None:
    """Write in the middle of axes that have nothing to draw why that is so."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=INK, wrap=True)


def room(values: npt.ArrayLike) -> tuple[float, float]:
    """Limits that hold zero and all values with their marks, so that a change is not drawn larger than it is."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = (min(known.min(), 0.0), max(known.max(), 0.0)) if known.size else (0.0, 1.0)
    margin = 0.12 * ((high - low) or 1.0)
    return float(low - margin if low < 0 else 0.0), float(high + margin)


def legend_below(figure: Figure, columns: int, **handles: Any) -> None:
    """A legend without a frame under all axes, where it hides nothing; `handles`, `labels` as in matplotlib."""
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9, **handles)


def column(frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """A column as float64; all NaN where the table does not have it."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    values: npt.NDArray[np.float64] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def interval_arms(frame: pd.DataFrame, score: str) -> npt.NDArray[np.float64]:
    """How far the interval `<score>_low` .. `<score>_high` reaches from the score, [2, n]; NaN = no interval.

    Bootstrap intervals need not hold the score itself: an arm that would point inwards has no length.
    """
    middle = column(frame, score)
    arms = np.stack([middle - column(frame, f"{score}_low"), column(frame, f"{score}_high") - middle])
    return np.where(np.isnan(arms), np.nan, np.maximum(arms, 0.0))


def require(frame: pd.DataFrame, columns: Iterable[str], figure: str) -> None:
    """Refuse a table that a figure cannot be drawn from.

    Raises:
        ValueError: It has no row, or lacks a column.
    """
    missing = [name for name in columns if name not in frame]
    if missing:
        raise ValueError(f"the figure {figure} needs the columns {missing}")
    if frame.empty:
        raise ValueError(f"the figure {figure} needs at least one row")


def first_seen(values: Iterable[object]) -> list[str]:
    """The different values as text, in the order of their first appearance."""
    return list(dict.fromkeys(str(value) for value in values))


def number(value: float) -> str:
    """Three decimals, or a dash for what is not defined."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def look(names: Sequence[str], name: str) -> tuple[str, str]:
    """Colour and marker of one of several series, the same wherever the order of names is."""
    place = names.index(name)
    return COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
