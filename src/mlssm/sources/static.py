"""What does not change with the date, beside the terrain: soil classes, incidence angle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rasterio.enums import Resampling

from mlssm.grid import Grid
from mlssm.sources.checks import incidence, soil
from mlssm.sources.checks.header import Stored
from mlssm.sources.classes import Classes
from mlssm.sources.faults import BadFiles
from mlssm.sources.mosaic import Mosaic
from mlssm.sources.raster import Lend, from_disk


def soil_reading(
    grid: Grid, bad: BadFiles, lend: Lend = from_disk, *, paths: Sequence[Path], classes: Classes = soil.NO_TABLE
) -> Mosaic:
    """Soil classes: float32 of whole numbers, NaN where there is none.

    Args:
        grid: The grid.
        bad: Whether a file that cannot be read stops the run or is left out.
        lend: Gives a file's content.
        paths: Rasters of codes.
        classes: Which class each code is of; by default each is one.
    """
    layer = soil.soil_layer(bad, classes)
    return Mosaic(paths, grid, Resampling.nearest, bad, layer, soil.disagree, True, lend)


def incidence_reading(
    grid: Grid, bad: BadFiles, lend: Lend = from_disk, *, paths: Sequence[Path], stored: Stored | None = None
) -> Mosaic:
    """Incidence angle of one relative orbit in degrees, NaN where it does not look.

    Mostly it is a band of images, whose content is asked for where they are read as such.

    Args:
        grid: The grid.
        bad: Whether a file that cannot be read stops the run or is left out.
        lend: Is not asked.
        paths: Its files.
        stored: How files hold them, where they are not of one band in degrees.
    """
    layer = incidence.incidence_layer(bad, stored)
    return Mosaic(paths, grid, Resampling.bilinear, bad, layer, incidence.disagree)
