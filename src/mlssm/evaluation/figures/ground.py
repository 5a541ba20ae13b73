"""Figures of maps against the ground: series with their interval and rain, scatter, and correlation by station."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mlssm.evaluation.cartography import INK
from mlssm.evaluation.figures.style import (
    BLUE,
    BROWN,
    DARK,
    GREY,
    MARKERS,
    TEAL,
    TITLE_SIZE,
    interval_arms,
    legend_below,
    require,
    say,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ACROSS: Final = 3
UNIT: Final = "m³/m³"


def station_series(days: pd.DataFrame, title: str) -> Figure:
    """What a station measured, the maps in its units with their interval, images, and the rain from above.

    Args:
        days: By day: `station`, `model`, `lower`, `upper`, `retrieved` in m3/m3, `rain_mm`; NaN where there is none.
        title: Title.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(days, ("station", "model", "lower", "upper", "retrieved", "rain_mm"), "station_series")
    figure = Figure(figsize=(10.0, 3.6), layout="constrained")
    axes = figure.subplots()
    index = days.index.to_numpy()
    axes.fill_between(
        index, days["lower"], days["upper"], color=TEAL, alpha=0.45, linewidth=0, label="model's interval"
    )
    axes.plot(index, days["model"], color=BLUE, linewidth=1.3, label="model")
    axes.plot(index, days["station"], color=DARK, linewidth=1.1, label="station")
    axes.plot(index, days["retrieved"], "o", color=BROWN, markersize=4, label="retrieved from images")
    axes.set_ylabel(f"soil moisture ({UNIT})")
    tidy(axes)
    rain = axes.twinx()
    rain.bar(index, days["rain_mm"], width=1.0, color=GREY, alpha=0.7, label="rain")
    most = float(np.nanmax(days["rain_mm"].to_numpy(float), initial=1.0))
    rain.set_ylim(3.5 * most, 0)  # from above, over less than a third
    rain.set_ylabel("rain (mm/d)")
    rain.spines["top"].set_visible(False)
    pairs = [each.get_legend_handles_labels() for each in (axes, rain)]
    handles, labels = ([item for part in parts for item in part] for parts in zip(*pairs, strict=True))
    legend_below(figure, 5, handles=handles, labels=labels)
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK)
    return figure


def station_scatter(many: Sequence[tuple[str, npt.NDArray[np.float64], npt.NDArray[np.float64]]], title: str) -> Figure:
    """The maps in a station's units against what it measured, axes a station.

    Args:
        many: Of each station its caption, the measured and the mapped soil moisture, m3/m3 [day].
        title: Title.

    Raises:
        ValueError: There is no station.
    """
    if not many:
        raise ValueError("the figure station_scatter needs at least one station")
    rows, columns = -(-len(many) // ACROSS), min(len(many), ACROSS)
    figure = Figure(figsize=(3.2 * columns, 3.1 * rows), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, (caption, measured, mapped) in zip(grid, many, strict=False):
        axes.plot(measured, mapped, ".", color=BLUE, alpha=0.45, markersize=4)
        ends = [min(measured.min(), mapped.min()), max(measured.max(), mapped.max())]
        axes.plot(ends, ends, "--", color=GREY, linewidth=1)
        axes.set_title(caption, fontsize=9, color=INK)
        axes.set_xlabel(f"station ({UNIT})", fontsize=9)
        axes.set_ylabel(f"model ({UNIT})", fontsize=9)
        axes.set_aspect("equal", "box")
        tidy(axes, "both")
    for axes in grid[len(many) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK)
    return figure


def station_correlation(table: pd.DataFrame, places: pd.DataFrame, title: str) -> Figure:
    """Correlation by station with its interval, a mark a series; and where the stations stand.

    Args:
        table: A row a station and series: `station`, `series`, `r`, `r_low`, `r_high`.
        places: A row a station: `station`, `longitude`, `latitude`, `r` of the model.
        title: Title.

    Raises:
        ValueError: No row, or a column is missing.
    """
    require(table, ("station", "series", "r", "r_low", "r_high"), "station_correlation")
    require(places, ("station", "longitude", "latitude", "r"), "station_correlation")
    names = list(dict.fromkeys(table["station"]))
    figure = Figure(figsize=(10.0, max(3.2, 1.4 + 0.45 * len(names))), layout="constrained")
    bars, area = figure.subplots(1, 2, width_ratios=(3, 2))
    _marks(bars, table, names)
    _map(figure, area, places)
    legend_below(figure, 4, handles=bars.get_legend_handles_labels()[0], labels=bars.get_legend_handles_labels()[1])
    figure.suptitle(title, fontsize=TITLE_SIZE, color=INK)
    return figure


def _marks(axes: Axes, table: pd.DataFrame, names: Sequence[str]) -> None:
    series = list(dict.fromkeys(table["series"]))
    for number, (name, colour) in enumerate(zip(series, (BLUE, TEAL, BROWN, GREY, DARK), strict=False)):
        rows = table[(table["series"] == name) & table["r"].notna()]
        if rows.empty:
            continue
        height = [names.index(station) + 0.16 * (number - (len(series) - 1) / 2) for station in rows["station"]]
        style: dict[str, Any] = {"color": colour, "capsize": 2, "markersize": 5, "label": name}
        axes.errorbar(rows["r"], height, xerr=interval_arms(rows, "r"), fmt=MARKERS[number % len(MARKERS)], **style)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("correlation with the station (-)")
    tidy(axes, "x")


def _map(figure: Figure, axes: Axes, places: pd.DataFrame) -> None:
    known = places[places["r"].notna()]
    if known.empty:
        say(axes, "no station has a correlation")
        return
    colours: dict[str, Any] = {
        "c": known["r"],
        "cmap": colormaps["viridis"],
        "norm": Normalize(min(0.0, float(known["r"].min())), 1),
    }
    points = axes.scatter(known["longitude"], known["latitude"], s=70, edgecolor=INK, **colours)
    for row in known.itertuples():
        offset: dict[str, Any] = {"xytext": (5, 5), "textcoords": "offset points", "fontsize": 8, "color": INK}
        axes.annotate(str(row.station), (row.longitude, row.latitude), **offset)
    axes.margins(0.25)
    # a degree of longitude is shorter
    axes.set_aspect(1 / math.cos(math.radians(float(known["latitude"].mean()))), "datalim")
    axes.ticklabel_format(useOffset=False)
    axes.set_xlabel("longitude (°)")
    axes.set_ylabel("latitude (°)")
    axes.tick_params(labelsize=8)
    axes.locator_params(axis="x", nbins=4)
    tidy(axes, "both")
    figure.colorbar(points, ax=axes, shrink=0.8, label="correlation of the model")
