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
    *(("test", "r2", "R² (-)"), ("test", "rmse", "RMSE (SSM)"), ("test", "mae", "MAE (SSM)")),
    *(("test", "corr", "correlation (-)"), ("test", "bias", "bias (SSM)"), ("val", "rmse", "RMSE (SSM)")),
)
CHOSEN_BY: Final = "validation, by which a lag is chosen"


def scores_by_lag(frame: pd.DataFrame, title: str) -> Figure:
    """Test scores and validation RMSE against the lag, a line a series through the mean of its points.

    The best baseline of each lag is a dotted line, and the cap of R2 a dashed one.

    Args:
        frame: As `lag_table` gives it: `lag` (days), `series`, `split` (`test`, `val`), `kind` (`network`, `baseline`),
            and `r2`, `rmse`, `mae`, `corr`, `bias`, `r2_cap` (RMSE, MAE and bias in SSM units). NaN = not scored.
        title: Title.

    Raises:
        ValueError: No row, or a column is missing.
    """
    needed = {score for _, score, _ in PANELS} | {"lag", "series", "split", "kind", "r2_cap"}
    require(frame, sorted(needed), "scores_by_lag")
    figure = Figure(figsize=(10.2, 6.2), layout="constrained")
    for axes, (split, score, label) in zip(figure.subplots(2, 3, sharex=True).flat, PANELS, strict=True):
        _draw(axes, frame[frame["split"] == split], score)
        axes.set_title(CHOSEN_BY if split == "val" else split, fontsize=9, color=INK)
        axes.set_ylabel(label)
        axes.set_xlabel("lag (days)")
        axes.set_xticks(sorted(set(frame["lag"])))
        tidy(axes)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if any(labels):
        legend_below(figure, min(4, len(labels)), handles=handles, labels=labels)
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw(axes: Axes, frame: pd.DataFrame, score: str) -> None:
    known = frame[frame[score].notna()]
    networks, baselines = known[known["kind"] == "network"], known[known["kind"] == "baseline"]
    if networks.empty:
        say(axes, "not scored")
        return
    names = first_seen(frame.loc[frame["kind"] == "network", "series"])
    for name in names:
        rows = networks[networks["series"] == name]
        colour, marker = look(names, name)
        mean = rows.groupby("lag")[score].mean()
        axes.plot(mean.index, mean, color=colour, label=name or "network")
        axes.plot(rows["lag"], rows[score], marker, color=colour)
    if score == "bias":
        axes.axhline(0, color=INK, linewidth=0.8)
    if not baselines.empty:
        best = baselines.groupby("lag")[score].mean()
        axes.plot(best.index, best, ":", color=INK, linewidth=1.8, label="best baseline")
    if score == "r2":
        highest = networks.groupby("lag")["r2_cap"].mean()
        axes.plot(highest.index, highest, "--", color=GREY, label="cap")
