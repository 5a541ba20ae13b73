"""What does not change with the date, beside the terrain: soil classes, incidence angle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rasterio.enums import Resampling

from mlssm.grid import Grid, Window
from mlssm.sources.checks import incidence, soil
from mlssm.sources.checks.header import Layer
from mlssm.sources.classes import Classes
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.raster import mosaic


def read_soil(
    paths: Sequence[Path], grid: Grid, extent: Window, bad: BadFiles, classes: Classes = soil.NO_TABLE
) -> Array:
    """Soil classes of an extent, float32 [height, width] of whole numbers, NaN where there is none.

    Args:
        paths: Rasters of codes.
        grid: The grid.
        extent: A window of it.
        bad: Whether a file that cannot be read stops the run or is left out.
        classes: Which class each code is of; by default each is one.
    """
    return mosaic(paths, grid, extent, Resampling.nearest, bad, soil.soil_layer(bad, classes), soil.disagree, True)


def read_incidence(
    paths: Sequence[Path], grid: Grid, extent: Window, bad: BadFiles, layer: Layer | None = None
) -> Array:
    """Incidence angle of one relative orbit in degrees, float32 [height, width], NaN where it does not look.

    Args:
        paths: Its files.
        grid: The grid.
        extent: A window of it.
        bad: Whether a file that cannot be read stops the run or is left out.
        layer: How they are read, where they are not of one band in degrees.

    Raises:
        DataError: A file cannot be read, or holds something else.
    """
    layer = layer or incidence.incidence_layer(bad)
    return mosaic(paths, grid, extent, Resampling.bilinear, bad, layer, incidence.disagree)
