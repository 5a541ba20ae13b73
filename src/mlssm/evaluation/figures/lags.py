"""Scores against the length of the antecedent window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import GREY, TITLE_SIZE, first_seen, legend_below, look, require, say, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PANELS: Final = (
    *(("val", "rmse", "RMSE (SSM)"), ("test", "rmse", "RMSE (SSM)")),
    *(("val", "r2", "R² (-)"), ("test", "r2", "R² (-)")),
)


def scores_by_lag(frame: pd.DataFrame, title: str) -> Figure:
    """RMSE and R2 of validation and test against the lag, a line a series through the mean of its points.

    Args:
        frame: A row a run: `lag` (days), `series` (what else was varied; empty if nothing), and
            `{val,test}/natural/{rmse,r2,r2_cap}` (RMSE in SSM units). NaN = not scored.
        title: Title.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("lag", "series", *(f"{split}/natural/{score}" for split, score, _ in PANELS)), "scores_by_lag")
    figure = Figure(figsize=(8.4, 6.2), layout="constrained")
    for axes, (split, score, label) in zip(figure.subplots(2, 2, sharex=True).flat, PANELS, strict=True):
        _draw(axes, frame, f"{split}/natural/{score}")
        axes.set_title("validation" if split == "val" else split, fontsize=9, color=INK)
        axes.set_ylabel(label)
        axes.set_xlabel("lag (days)")
        axes.set_xticks(sorted(set(frame["lag"])))
        tidy(axes)
    handles, labels = figure.axes[2].get_legend_handles_labels()
    if any(labels):
        legend_below(figure, min(4, len(labels)), handles=handles, labels=labels)
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw(axes: Axes, frame: pd.DataFrame, score: str) -> None:
    known = frame[frame[score].notna()]
    if known.empty:
        say(axes, "not scored")
        return
    names = first_seen(frame["series"])
    for name in names:
        rows = known[known["series"] == name]
        colour, marker = look(names, name)
        mean = rows.groupby("lag")[score].mean()
        axes.plot(mean.index, mean, color=colour, label=name or "network")
        axes.plot(rows["lag"], rows[score], marker, color=colour)
    cap = f"{score}_cap"
    if cap in known:
        highest = known.groupby("lag")[cap].mean()
        axes.plot(highest.index, highest, "--", color=GREY, label="cap")
