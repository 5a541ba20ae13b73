"""Maps of an extent's labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mlssm.evaluation.cartography import INK, MASKED, draw_map
from mlssm.evaluation.labels.survey import ExtentSurvey
from mlssm.retrieval.reasons import Reason
from mlssm.scores import AnyFloats

SCALE = colormaps["viridis"].with_extremes(bad=MASKED)
REASON_COLOURS = ["#f4f1e6", *(to_hex(colormaps["tab20"](place)) for place in range(len(Reason)))]


def reference_figure(extent: ExtentSurvey) -> Figure:
    """A row a key: sensitivity, and the standard errors of its references, dB."""
    titles = ("wet - dry, dB", "standard error of dry, dB", "standard error of wet, dB")
    rows = [(each.title, (each.sensitivity, each.dry_error, each.wet_error)) for each in extent.references]
    limits = [_limit([maps[place] for _, maps in rows]) for place in range(3)]
    figure = _figure(len(rows), 3, extent.looks)
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for row, (title, maps) in zip(grid, rows, strict=True):
        row[0].set_ylabel(title, fontsize=9, color=INK)
        for axes, values, limit in zip(row, maps, limits, strict=True):
            image = draw_map(axes, values, extent.pixel_m, SCALE, Normalize(0, limit), scale_bar=axes is row[0])
            figure.colorbar(image, ax=axes, shrink=0.8)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10, color=INK)
    return figure


def mask_figure(extent: ExtentSurvey) -> Figure:
    """Looks, share of the images without a label, and the reason that most of them have."""
    figure = _figure(1, 3, extent.looks)
    looks, share, reason = figure.subplots(1, 3)
    for axes, values, limit, title in (
        (looks, extent.looks, _limit([extent.looks]), "looks of a value"),
        (share, extent.masked, 1.0, "share of images without a label"),
    ):
        image = draw_map(axes, values, extent.pixel_m, SCALE, Normalize(0, limit), scale_bar=axes is looks)
        figure.colorbar(image, ax=axes, shrink=0.8)
        axes.set_title(title, fontsize=10, color=INK)
    _draw_reasons(reason, extent)
    return figure


def agreement_figure(extent: ExtentSurvey) -> Figure:
    """Correlation over time of the labels of two tracks, a map a pair."""
    pairs = [*extent.correlation.items()]
    figure = _figure(1, len(pairs), extent.looks)
    colours = colormaps["RdBu"].with_extremes(bad=MASKED)
    for axes, (title, values) in zip(np.atleast_1d(figure.subplots(1, len(pairs))), pairs, strict=True):
        image = draw_map(axes, values, extent.pixel_m, colours, Normalize(-1, 1), scale_bar=True)
        figure.colorbar(image, ax=axes, shrink=0.8)
        axes.set_title(f"orbits {title}", fontsize=10, color=INK)
    return figure


def _draw_reasons(axes: object, extent: ExtentSurvey) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    known = [reason for reason in Reason if (extent.reason == reason).any()]
    index = np.zeros(extent.reason.shape)
    for place, reason in enumerate(known, 1):
        index[extent.reason == reason] = place
    colours = ListedColormap(REASON_COLOURS[: len(known) + 1])
    draw_map(axes, index, extent.pixel_m, colours, Normalize(-0.5, len(known) + 0.5))
    axes.set_title("what masks most images", fontsize=10, color=INK)
    names = ["labelled", *(str(reason.name).lower().replace("_", " ") for reason in known)]
    handles = [Patch(facecolor=colours(place), edgecolor=INK, label=name) for place, name in enumerate(names)]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.02), fontsize=8, frameon=False)


def _figure(rows: int, columns: int, like: AnyFloats) -> Figure:
    height, width = like.shape
    aspect = min(max(height / width, 0.3), 2.0)
    return Figure(figsize=(3.4 * columns, 3.0 * aspect * rows + 1.0), layout="constrained")


def _limit(maps: Sequence[AnyFloats]) -> float:
    """The 98th percentile of all values, so that single pixels do not set the colours; 1 where there is none."""
    values = np.concatenate([each.ravel() for each in maps])
    known = values[np.isfinite(values)]
    return float(np.percentile(known, 98)) or 1.0 if known.size else 1.0
