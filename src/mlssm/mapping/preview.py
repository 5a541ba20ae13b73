"""Previews of maps: a picture for those who do not open a GIS."""

from __future__ import annotations

import datetime as dt
import gc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from pyproj import CRS

from mlssm.errors import DataError
from mlssm.evaluation.cartography import INK, MASKED, SSM_COLOURS, SSM_LABEL, SSM_RANGE, draw_map, left_out
from mlssm.files import whole_file
from mlssm.grid import Grid
from mlssm.scores import AnyFloats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

MOST_PANELS = 9
DOTS_PER_INCH = 150
HATCH = "////"
MOST_HATCHED = 300  # cells along the longer side whose outlines are drawn
UNKNOWN = "unknown to training: no label, an input filled, or inputs unlike its own"


@dataclass(frozen=True)
class MapPanel:
    """One extent's map.

    Attributes:
        name: The extent's name.
        values: SSM [h, w], 0..1; NaN = nodata.
        grid: The grid of these pixels.
        hatched: Where nothing was known in training, bool [h, w]; None: it was everywhere.
    """

    name: str
    values: AnyFloats
    grid: Grid
    hatched: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse values that do not lie on the grid.

        Raises:
            ValueError: The shapes differ.
        """
        if self.hatched is not None and self.hatched.shape != self.grid.shape:
            raise ValueError(f"panel {self.name}: hatched {self.hatched.shape} is not on a grid {self.grid.shape}")
        if self.values.shape != self.grid.shape:
            raise ValueError(f"panel {self.name}: values {self.values.shape} are not on a grid {self.grid.shape}")

    @property
    def cell(self) -> int:
        """Pixels along a cell of what is hatched: outlines of a large map's pixels take 0.3 GB, and are too fine."""
        return -(-max(self.grid.shape) // MOST_HATCHED)

    @property
    def hatched_cells(self) -> npt.NDArray[np.bool_]:
        """Cells of which more than half is hatched; the last ones may be smaller."""
        assert self.hatched is not None
        found, size = self.hatched.astype(np.int64), np.ones(self.grid.shape, np.int64)
        for axis, side in enumerate(self.grid.shape):
            starts = np.arange(0, side, self.cell)
            found, size = (np.add.reduceat(each, starts, axis=axis) for each in (found, size))
        return 2 * found > size

    @property
    def is_hatched(self) -> bool:
        """Whether a part of it is."""
        return self.hatched is not None and bool(self.hatched_cells.any())

    @property
    def aspect(self) -> float:
        """Height over width."""
        return self.grid.height / self.grid.width


def write_preview(path: Path, panels: Sequence[MapPanel], date: dt.date, title: str) -> None:
    """Draw one date's maps into a PNG: a panel an extent, each with its scale bar, and one colour bar.

    Extents apart from each other become panels of their own, and not specks on an empty sheet. The first nine are
    shown, and the title says how many are left out. The file appears under its name when it is complete.

    Args:
        path: The PNG; folders are made, an older file is replaced.
        panels: Maps by extent.
        date: The day that the maps show.
        title: The picture's title.

    Raises:
        ValueError: There is no panel.
        DataError: The file cannot be written.
    """
    figure = preview(panels, date, title)
    try:
        with whole_file(path) as finished:
            figure.savefig(finished, dpi=DOTS_PER_INCH, facecolor="white")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}); choose another folder or free some space") from error
    finally:
        del figure
        gc.collect()  # a figure refers to itself, so that those of many days would wait in memory, 50 MB each


def preview(panels: Sequence[MapPanel], date: dt.date, title: str) -> Figure:
    """The picture of `write_preview`, as a figure.

    Raises:
        ValueError: There is no panel.
    """
    if not panels:
        raise ValueError("a preview needs at least one panel")
    shown = panels[:MOST_PANELS]
    columns = _columns(len(shown))
    side = 6.4 if columns == 1 else 3.3
    heights = _row_heights(shown, columns)
    size = side * columns, side * sum(heights) + 0.3 * len(heights) + 1.5
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07))
    places = (
        figure.subplots(len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights}).ravel().tolist()
    )
    images = [_draw_panel(axes, panel) for axes, panel in zip(places, shown, strict=False)]
    for axes in places[len(shown) :]:
        axes.set_axis_off()
    _annotate(figure, images[0], places, shown)
    heading = f"{title}\n{date.day} {date:%B %Y}{left_out(len(panels), MOST_PANELS)}"
    figure.suptitle(heading, fontsize=13, color=INK)
    return figure


def _columns(panels: int) -> int:
    """Four panels as 2 x 2, otherwise up to three in a row."""
    return 2 if panels == 4 else min(panels, 3)


def _row_heights(panels: Sequence[MapPanel], columns: int) -> list[float]:
    """Height of each row over the width of a column; very long or flat extents are held in bounds."""
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    return [min(max(*(panel.aspect for panel in row), 0.35), 1.8) for row in rows]


def _draw_panel(axes: Axes, panel: MapPanel) -> AxesImage:
    image = draw_map(axes, panel.values, panel.grid.pixel, SSM_COLOURS, SSM_RANGE, scale_bar=True)
    axes.set_title(f"{panel.name}\n{_place(panel.grid)}", fontsize=9, color=INK)
    if panel.is_hatched:
        _hatch(axes, panel)
    return image


def _hatch(axes: Axes, panel: MapPanel) -> None:
    """Lines over what training never knew, with which a bare number would look as good as any other."""
    cells = panel.hatched_cells
    # each cell by its edges, so that no corner is cut
    rows, cols = (
        np.minimum(np.repeat(np.arange(count + 1), 2)[1:-1] * panel.cell, side) * panel.grid.pixel / 1000
        for count, side in zip(cells.shape, panel.grid.shape, strict=True)
    )
    edges = cells.repeat(2, axis=0).repeat(2, axis=1).astype(float)
    axes.contourf(cols, rows[-1] - rows, edges, levels=[0.5, 1.5], colors="none", hatches=[HATCH])


def _place(grid: Grid) -> str:
    longitude, latitude = grid.geographic_centre()
    north, east = ("N" if latitude >= 0 else "S"), ("E" if longitude >= 0 else "W")
    return f"{math.fabs(latitude):.2f}° {north}, {math.fabs(longitude):.2f}° {east}"


def _annotate(figure: Figure, image: AxesImage, places: list[Axes], shown: Sequence[MapPanel]) -> None:
    bar = figure.colorbar(image, ax=places, location="bottom", shrink=0.7, aspect=38, pad=0.02)
    bar.set_label(SSM_LABEL, color=INK, fontsize=9)
    bar.outline.set(edgecolor=INK, linewidth=0.6)
    grid = shown[0].grid
    note = f"no data   ({CRS.from_user_input(grid.crs).name}, north up, {grid.pixel:g} m pixels)"
    handles = [Patch(facecolor=MASKED, edgecolor=INK, linewidth=0.6, label=note)]
    if any(panel.is_hatched for panel in shown):
        handles.append(Patch(facecolor="none", edgecolor=INK, linewidth=0.6, hatch=HATCH, label=UNKNOWN))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
