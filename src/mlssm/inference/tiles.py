"""Tiles that cover an extent, and the blending of their predictions into one map without seams."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from mlssm.errors import ConfigError
from mlssm.grid import Floats, Window
from mlssm.scores import AnyFloats


def plan_tiles(height: int, width: int, tile: int, overlap: int) -> tuple[Window, ...]:
    """Cover an extent with tiles of one size; the last of a row or column is moved back inside, so it overlaps more.

    Args:
        height: Rows of the extent.
        width: Columns of the extent.
        tile: Rows and columns of a tile; an extent that is smaller gets a tile of its own size.
        overlap: Rows or columns that neighbours share at least.

    Returns:
        Windows in the extent's rows and columns, by row, then column.

    Raises:
        ConfigError: The overlap is negative or not smaller than the tile.
    """
    if not 0 <= overlap < tile:
        raise ConfigError(f"overlap={overlap} is not allowed with tile={tile}: set 0 <= overlap < tile")
    rows, cols = _starts(height, tile, overlap), _starts(width, tile, overlap)
    shape = min(tile, height), min(tile, width)
    return tuple(Window(row, col, *shape) for row, col in product(rows, cols))


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    last = max(size - tile, 0)
    return [*range(0, last, tile - overlap), last]


class Blend:
    """One extent's map, summed from overlapping tiles with weights that fall smoothly towards a tile's edge."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Start without predictions.

        Args:
            shape: Rows and columns of the extent.
        """
        self._weighted = np.zeros(shape)
        self._weights = np.zeros(shape)

    def add(self, window: Window, prediction: AnyFloats) -> None:
        """Add a tile's prediction; where it is NaN it has no say.

        Args:
            window: Where the tile lies in the extent.
            prediction: Prediction [th, tw] of the window's shape, any unit.

        Raises:
            ValueError: The prediction has another shape than its window, or the window reaches out of the extent.
        """
        if prediction.shape != window.shape:
            raise ValueError(f"a prediction {prediction.shape} does not fit its window {window.shape}")
        if not _inside(window, self._weights.shape):
            raise ValueError(f"{window} reaches out of an extent of {self._weights.shape} pixels")
        weights = np.outer(_taper(window.height), _taper(window.width))
        weights[np.isnan(prediction)] = 0.0
        self._weighted[window.slices] += weights * np.nan_to_num(prediction.astype(np.float64), nan=0.0)
        self._weights[window.slices] += weights

    def result(self) -> npt.NDArray[np.float32]:
        """The weighted mean of all tiles [h, w], float32; NaN where none had a value."""
        mean = np.full(self._weights.shape, np.nan)
        np.divide(self._weighted, self._weights, out=mean, where=self._weights > 0)
        return mean.astype(np.float32)


def _inside(window: Window, shape: tuple[int, ...]) -> bool:
    bottom, right = window.row + window.height, window.col + window.width
    return min(window.row, window.col) >= 0 and bottom <= shape[0] and right <= shape[1]


@lru_cache(maxsize=8)
def _taper(size: int) -> Floats:
    """A Hann window sampled at pixel centres: highest in the middle, greater than 0 at the edge pixels."""
    weights: Floats = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    return weights
