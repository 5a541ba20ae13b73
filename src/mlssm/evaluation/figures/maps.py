"""Maps of extents: one date's soil moisture, and how well its course in time is met."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from mlssm.evaluation.cartography import (
    DIFFERENCE_COLOURS,
    DIFFERENCE_RANGE,
    INK,
    MASKED,
    SSM_COLOURS,
    SSM_LABEL,
    SSM_RANGE,
    draw_map,
    left_out,
)
from mlssm.evaluation.figures.style import BLUE, BROWN, say, tidy
from mlssm.scores import AnyFloats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MOST_EXTENTS = 5
MAP_TITLES = ("retrieved", "predicted", "predicted - retrieved")
CORRELATION_BINS = 40
# Red where prediction and label move against each other, blue where they move together.
CORRELATION_COLOURS: Final = colormaps["RdBu"].with_extremes(bad=MASKED)
CORRELATION_RANGE: Final = Normalize(-1.0, 1.0)


@dataclass(frozen=True)
class ExtentMaps:
    """One extent's maps on one date.

    Attributes:
        extent: Its name.
        retrieved: SSM from backscatter [h, w], 0..1; NaN = masked.
        predicted: SSM from the network [h, w], 0..1; NaN = no prediction.
        pixel_m: Pixel size, metres.
    """

    extent: str
    retrieved: AnyFloats
    predicted: AnyFloats
    pixel_m: float

    def __post_init__(self) -> None:
        """Refuse maps that do not lie over each other.

        Raises:
            ValueError: The shapes differ.
        """
        if self.retrieved.shape != self.predicted.shape:
            raise ValueError(f"maps of {self.extent} differ in shape: {self.retrieved.shape}, {self.predicted.shape}")


@dataclass(frozen=True)
class ExtentCorrelation:
    """How well an extent's course in time is met, pixel by pixel.

    Attributes:
        extent: Its name.
        correlation: Pearson's correlation of predicted and retrieved SSM over the dates [h, w], -1..1; NaN = masked, or
            too few dates.
        pixel_m: Pixel size, metres.
    """

    extent: str
    correlation: AnyFloats
    pixel_m: float


def map_triplet(extents: Sequence[ExtentMaps], date: dt.date) -> Figure:
    """One date's maps side by side, one row an extent: retrieved, predicted, difference.

    Masked pixels are light grey; colour bars and a scale bar are drawn. The first five extents are shown, and the title
    says how many are left out.

    Args:
        extents: Maps by extent.
        date: The local day of the image.

    Raises:
        ValueError: There is no extent.
    """
    if not extents:
        raise ValueError("a figure of maps needs at least one extent")
    shown = extents[:MOST_EXTENTS]
    heights = [_aspect(extent.retrieved) for extent in shown]
    figure = Figure(figsize=(9.0, 2.85 * sum(heights) + 1.25), layout="constrained")
    grid = figure.subplots(len(shown), 3, squeeze=False, gridspec_kw={"height_ratios": heights})
    ssm, difference = [_draw_row(row, extent) for row, extent in zip(grid, shown, strict=True)][-1]
    for axes, title in zip(grid[0], MAP_TITLES, strict=True):
        axes.set_title(title, fontsize=10, color=INK)
    below: dict[str, Any] = {"location": "bottom", "pad": 0.015}
    figure.colorbar(ssm, ax=grid[:, :2], label=SSM_LABEL, shrink=0.8, aspect=40, **below)
    figure.colorbar(difference, ax=grid[:, 2:], label="difference", shrink=0.9, aspect=20, extend="both", **below)
    figure.suptitle(
        f"Soil moisture on {date.isoformat()}{left_out(len(extents), MOST_EXTENTS)}", fontsize=12, color=INK
    )
    return figure


def temporal_correlation_map(extents: Sequence[ExtentCorrelation]) -> Figure:
    """Each extent's map of the correlation over time, and the histogram of all their pixels with its median.

    Masked pixels are light grey. The first five extents are drawn as maps, the histogram counts all of them.

    Args:
        extents: Correlations by extent.

    Raises:
        ValueError: There is no extent.
    """
    if not extents:
        raise ValueError("a figure of maps needs at least one extent")
    shown = extents[:MOST_EXTENTS]
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    aspect = max(_aspect(extent.correlation) for extent in shown)
    height = 8.4 / max(columns, 2) * aspect * rows
    figure = Figure(figsize=(8.4, height + 3.0), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[height, 2.6], squeeze=False)
    _draw_correlations(parts[0, 0], shown, rows, columns)
    _draw_histogram(parts[1, 0].subplots(), np.concatenate([extent.correlation.ravel() for extent in extents]))
    title = f"Correlation over time of predicted and retrieved SSM{left_out(len(extents), MOST_EXTENTS)}"
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def _aspect(values: AnyFloats) -> float:
    """Height over width, held in bounds for very long or flat extents."""
    height, width = values.shape
    return float(min(max(height / width, 0.3), 2.0))


def _draw_row(row: Sequence[Axes], extent: ExtentMaps) -> tuple[AxesImage, AxesImage]:
    retrieved, predicted, difference = row
    ssm = draw_map(retrieved, extent.retrieved, extent.pixel_m, SSM_COLOURS, SSM_RANGE, scale_bar=True)
    draw_map(predicted, extent.predicted, extent.pixel_m, SSM_COLOURS, SSM_RANGE)
    error = extent.predicted - extent.retrieved
    image = draw_map(difference, error, extent.pixel_m, DIFFERENCE_COLOURS, DIFFERENCE_RANGE)
    retrieved.set_ylabel(extent.extent, fontsize=9, color=INK)
    return ssm, image


def _draw_correlations(figure: SubFigure, extents: Sequence[ExtentCorrelation], rows: int, columns: int) -> None:
    places = figure.subplots(rows, columns, squeeze=False)
    for axes, extent in zip(places.ravel(), extents, strict=False):
        colours, scale = CORRELATION_COLOURS, CORRELATION_RANGE
        image = draw_map(axes, extent.correlation, extent.pixel_m, colours, scale, scale_bar=True)
        axes.set_title(extent.extent, fontsize=9, color=INK)
    for axes in places.ravel()[len(extents) :]:
        axes.set_axis_off()
    figure.colorbar(image, ax=places, label="correlation (-)", shrink=0.85, pad=0.02)


def _draw_histogram(axes: Axes, correlation: AnyFloats) -> None:
    known = correlation[np.isfinite(correlation)]
    axes.set(xlim=(-1, 1), xlabel="correlation over time (-)", ylabel="pixels")
    tidy(axes)
    if not known.size:
        say(axes, "no pixel has a correlation")
        return
    axes.hist(known, bins=CORRELATION_BINS, range=(-1, 1), color=BLUE)
    middle = float(np.median(known))
    axes.axvline(middle, color=BROWN, linewidth=1.6, label=f"median {middle:.2f} of {known.size:,} pixels")
    axes.legend(loc="upper left", frameon=False, fontsize=9)
