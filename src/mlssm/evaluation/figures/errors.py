"""Where a model errs: by moisture, by date, and in which way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import (
    BLUE,
    BROWN,
    GREY,
    TEAL,
    TITLE_SIZE,
    column,
    first_seen,
    legend_below,
    look,
    require,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PARTS = (
    ("bias_squared", "bias²", BROWN),
    ("variance_mismatch", "difference in spread", TEAL),
    ("correlation_part", "lack of correlation", BLUE),
)


def by_bin(frame: pd.DataFrame, title: str) -> Figure:
    """Bias, RMSE and number of pixels in each bin of retrieved SSM.

    Args:
        frame: A row a bin and model: `ssm_from`, `ssm_to`, `model`, `n`, `bias`, `rmse`, SSM units; NaN where a bin has
            no pixel. The models are drawn in the order of their first row, on the same pixels.
        title: Title, e.g. `test`.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("ssm_from", "ssm_to", "model", "n", "bias", "rmse"), "by_bin")
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    bias, rmse, counts = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 2])
    names = first_seen(frame["model"])
    for name in names:
        rows = frame[frame["model"] == name]
        middle = (column(rows, "ssm_from") + column(rows, "ssm_to")) / 2
        _draw_line(bias, middle, column(rows, "bias"), names, name)
        _draw_line(rmse, middle, column(rows, "rmse"), names, name)
    bias.axhline(0, color=INK, linewidth=0.8, linestyle="--")
    rmse.set_ylim(bottom=0)
    _draw_counts(counts, frame[frame["model"] == names[0]])
    bias.set_ylabel("bias (SSM)")
    rmse.set_ylabel("RMSE (SSM)")
    bias.legend(frameon=False, fontsize=9)
    figure.suptitle(f"Error by retrieved soil moisture: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def by_date(frame: pd.DataFrame, title: str) -> Figure:
    """Mean retrieved and predicted SSM, and the RMSE, of each date.

    Args:
        frame: A row a date and model: `date` (ISO), `model`, `observed` and `predicted` (means over the same pixels)
            and `rmse`, SSM units. The models are drawn in the order of their first row; `observed` is the first one's.
        title: Title, e.g. `test`.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("date", "model", "observed", "predicted", "rmse"), "by_date")
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    mean, rmse = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    names = first_seen(frame["model"])
    for name in names:
        rows = frame[frame["model"] == name].sort_values("date")
        dates = rows["date"].astype(str).to_numpy().astype("datetime64[D]")
        if name == names[0]:
            observed = column(rows, "observed")
            mean.plot(dates, observed, color=INK, linewidth=1.2, marker="x", markersize=5, label="retrieved")
        _draw_line(mean, dates, column(rows, "predicted"), names, name)
        _draw_line(rmse, dates, column(rows, "rmse"), names, name)
    mean.set(ylim=(0, 1), ylabel="mean SSM (-)")
    rmse.set_ylabel("RMSE (SSM)")
    rmse.set_ylim(bottom=0)
    rmse.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=9))  # type: ignore[no-untyped-call]
    rmse.xaxis.set_major_formatter(ConciseDateFormatter(rmse.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
    mean.legend(frameon=False, fontsize=9, ncols=3)
    figure.suptitle(f"Soil moisture and error by date: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def decomposition(frame: pd.DataFrame, title: str) -> Figure:
    """What each model's mean square error is made of, and how much of it is the labels' own noise.

    Args:
        frame: A row a model, the fields of `mlssm.scores.decomposition.Decomposition`: `model`, `bias_squared`,
            `variance_mismatch` and `correlation_part`, which add up to the mean square error, and `noise`, which is the
            same for all on the same pixels; SSM units squared. NaN = not defined.
        title: Title, e.g. `test, natural`.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(frame, ("model", "noise", *(name for name, _, _ in PARTS)), "decomposition")
    figure = Figure(figsize=(7.2, 0.42 * len(frame) + 1.9), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(frame))
    places = np.arange(len(frame))
    for name, label, colour in PARTS:
        width = column(frame, name)
        axes.barh(places, width, left=left, color=colour, height=0.65, label=label)
        left = left + width
    for place in places[np.isnan(left)]:
        axes.text(0, place, " not defined", va="center", color=GREY, fontsize=9)
    noise = column(frame, "noise")
    for value in noise[np.isfinite(noise)][:1]:
        axes.axvline(value, color=INK, linewidth=1.4, linestyle="--", label="noise of the labels")
    axes.set_yticks(places, [str(model) for model in frame["model"]])
    axes.set_ylim(len(frame) - 0.5, -0.5)
    axes.set_xlabel("mean square error (SSM²)")
    tidy(axes, "x")
    legend_below(figure, 2)
    axes.set_title(f"What the error is made of: {title}", fontsize=TITLE_SIZE, color=INK)
    return figure


def _draw_line(
    axes: Axes, x: npt.NDArray[Any], values: npt.NDArray[np.float64], names: Sequence[str], name: str
) -> None:
    colour, marker = look(names, name)
    axes.plot(x, values, color=colour, marker=marker, markersize=4, linewidth=1.4, label=name)
    tidy(axes)


def _draw_counts(axes: Axes, rows: pd.DataFrame) -> None:
    low, high = column(rows, "ssm_from"), column(rows, "ssm_to")
    axes.bar(low, column(rows, "n"), width=high - low, align="edge", color=GREY, edgecolor="white")
    axes.set(xlabel="retrieved SSM (-)", ylabel="pixels", xlim=(low.min(), high.max()))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    tidy(axes)
