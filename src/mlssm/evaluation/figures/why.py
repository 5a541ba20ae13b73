"""What a network goes by: bars of importance, contributions by day, and maps of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mlssm.evaluation.cartography import INK, MASKED, draw_map
from mlssm.evaluation.figures.style import BLUE, BROWN, TITLE_SIZE, column, interval_arms, look, require, say, tidy
from mlssm.scores import AnyFloats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_MAPS: Final = 6
# Red where inputs make the prediction drier, blue where wetter.
CONTRIBUTION: Final = colormaps["RdBu"].with_extremes(bad=MASKED)
AXES_TITLES: Final = {"dates": "of another date", "places": "of another place"}


def permutation_bars(frame: pd.DataFrame) -> Figure:
    """How much RMSE rises when inputs are those of another date, or of another place, with intervals.

    Args:
        frame: A row an axis and group: `permuted` (`dates`, `places`), `inputs`, `rmse_rise`, `rmse_rise_low`,
            `rmse_rise_high` (SSM units); of an axis the joint group first.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("permuted", "inputs", "rmse_rise"), "permutation_bars")
    most = max(int((frame["permuted"] == axis).sum()) for axis in AXES_TITLES)
    figure = Figure(figsize=(10.2, 0.4 * most + 1.6), layout="constrained")
    for axes, (axis, name) in zip(figure.subplots(1, 2, sharex=True), AXES_TITLES.items(), strict=True):
        rows = frame[frame["permuted"] == axis]
        _draw_bars(axes, rows, "inputs", "rmse_rise", [BROWN, *[BLUE] * (len(rows) - 1)])
        axes.set_title(name, fontsize=9, color=INK)
    figure.suptitle("When inputs are those of another date or place", fontsize=TITLE_SIZE, color=INK)
    return figure


def ablation_bars(frame: pd.DataFrame) -> Figure:
    """How much RMSE rises when a model is trained without a group of inputs, with intervals.

    Args:
        frame: A row a training: `without`, `rmse_difference`, `difference_low`, `difference_high` (SSM units).
    """
    renamed = frame.rename(columns={"difference_low": "rmse_difference_low", "difference_high": "rmse_difference_high"})
    figure = Figure(figsize=(7.2, 0.4 * len(frame) + 1.6), layout="constrained")
    _draw_bars(figure.subplots(), renamed, "without", "rmse_difference", [BLUE] * len(frame))
    figure.suptitle("Trained without", fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw_bars(axes: Axes, rows: pd.DataFrame, names: str, score: str, colours: list[str]) -> None:
    axes.set_xlabel("rise of RMSE (SSM)")
    if rows.empty:
        say(axes, "nothing to show")
        return
    rise, places = column(rows, score), np.arange(len(rows))
    axes.barh(places, rise, color=colours, height=0.65)
    axes.errorbar(rise, places, xerr=interval_arms(rows, score), fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(places, [str(name) for name in rows[names]])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    tidy(axes, "x")


def contributions(frame: pd.DataFrame, title: str) -> Figure:
    """What drivers add to predictions: by day of the window, and what holds for the whole window.

    Args:
        frame: `inputs`, `days_before` the last day of the window (NaN: for all of it), `mean_absolute` (SSM units).
        title: Title.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("inputs", "days_before", "mean_absolute"), "contributions")
    figure = Figure(figsize=(10.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)  # a closed form would press the days flat on a shared axis
    daily = frame[frame["days_before"].notna()]
    names = list(dict.fromkeys(daily["inputs"]))
    for name in names:
        rows = daily[daily["inputs"] == name]
        colour, marker = look(names, name)
        left.plot(rows["days_before"], rows["mean_absolute"], color=colour, marker=marker, markersize=4, label=name)
    left.invert_xaxis()
    left.set_xlabel("days before the last day of the window")
    if names:
        left.legend(frameon=False, fontsize=9)
    fixed = frame[frame["days_before"].isna()]
    right.bar(range(len(fixed)), column(fixed, "mean_absolute"), color=BLUE, width=0.65)
    right.set_xticks(range(len(fixed)), [str(name) for name in fixed["inputs"]], rotation=20, ha="right")
    for axes in (left, right):
        axes.set_ylabel("mean absolute contribution (SSM)")
        axes.set_ylim(bottom=0)
        tidy(axes)
    figure.suptitle(f"Contributions to the mean of a patch: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def contribution_maps(maps: Mapping[str, AnyFloats], pixel_m: float, title: str) -> Figure:
    """Where the strongest groups of inputs make one date's prediction wetter or drier than the mean input would.

    Args:
        maps: By group, [h, w], SSM units.
        pixel_m: Pixel size, metres.
        title: Title.

    Raises:
        ValueError: There is no map.
    """
    if not maps:
        raise ValueError("contribution_maps needs at least one map")
    shown = sorted(maps, key=lambda name: -float(np.nanmean(np.abs(maps[name]))))[:MOST_MAPS]
    # a few pixels with all of a kernel's weight would leave the rest pale
    most = max(float(np.nanquantile(np.abs(maps[name]), 0.99)) for name in shown) or 1.0
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    height, width = maps[shown[0]].shape
    figure = Figure(figsize=(3.2 * columns, 3.2 * lines * height / width + 1.2), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, name in zip(grid.flat, shown, strict=False):
        image = draw_map(axes, maps[name], pixel_m, CONTRIBUTION, Normalize(-most, most), scale_bar=name == shown[0])
        axes.set_title(name, fontsize=9, color=INK)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    figure.colorbar(image, ax=grid, label="contribution (SSM)", location="bottom", shrink=0.6, aspect=40, extend="both")
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK)
    return figure
