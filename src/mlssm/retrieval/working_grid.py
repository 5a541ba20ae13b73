"""The grid that labels, features and patches share: the cube's, or that of the multilook blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlssm.config import ImagesConfig
from mlssm.cube import Cube
from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.retrieval.multilook import window_pixels

# a row or column of blocks belongs to an extent if this share of it does: over a half, so that it belongs to no other
LEAST_SHARE = 0.501


@dataclass(frozen=True)
class WorkingGrid:
    """The working grid of an area and its parts.

    Attributes:
        grid: CRS, origin and pixel size.
        factor: Cube pixels along one of its pixels.
        window_pixels: Cube pixels along the multilook window.
        extents: The cube's extents on it, in the same order.
    """

    grid: Grid
    factor: int
    window_pixels: int
    extents: tuple[Window, ...]


def working_grid(cube: Cube, config: ImagesConfig) -> WorkingGrid:
    """The working grid of a cube under a retrieval.

    Raises:
        ConfigError: The multilook window is not a whole number of pixels.
        DataError: The window is wider than an extent.
    """
    return working_of(cube.grid, cube.extents, config)


def working_of(grid: Grid, extents: Sequence[Window], config: ImagesConfig) -> WorkingGrid:
    """The working grid of a grid and its extents; see `working_grid`."""
    pixels = window_pixels(config.multilook_m, grid.pixel)
    factor = pixels if config.multilook == "block" else 1
    coarse = tuple(extent.coarsen(factor, LEAST_SHARE) for extent in extents)
    if any(min(extent.shape) == 0 for extent in coarse):
        narrow = min(min(extent.shape) for extent in extents) * grid.pixel
        raise DataError(f"retrieval.multilook_m={config.multilook_m:g} is wider than an extent of {narrow:g} m")
    return WorkingGrid(grid.coarsen(factor), factor, pixels, coarse)
