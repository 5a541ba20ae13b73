"""Means over square blocks of a map's pixels, so that a page or a preview can show it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlssm.grid import Window

Array = npt.NDArray[np.float32]


class BlockMeans:
    """Means of the known pixels of each block, from tiles in any order; the last blocks may be cut.

    What is shown asks for as much as is known. How errors average out is measured on whole blocks instead
    (`mlssm.uncertainty.support`).
    """

    def __init__(self, shape: tuple[int, int], factor: int) -> None:
        """Of a map of so many rows and columns, in blocks of `factor` x `factor` pixels."""
        self.factor = factor
        coarse = tuple(-(-side // factor) for side in shape)
        self._total, self._count = np.zeros(coarse), np.zeros(coarse)

    def add(self, window: Window, values: Array) -> None:
        """Add a tile, counted from the map's corner, NaN where it has no value."""
        known = np.isfinite(values)
        (rows, first), (cols, left) = (
            self._blocks(start, size) for start, size in zip((window.row, window.col), window.shape, strict=True)
        )
        here = slice(first, first + len(rows)), slice(left, left + len(cols))
        for total, part in ((self._total, np.where(known, values, 0)), (self._count, known)):
            total[here] += np.add.reduceat(np.add.reduceat(part.astype(float), rows, axis=0), cols, axis=1)

    @property
    def values(self) -> Array:
        """The means, float32 [ceil(h / factor), ceil(w / factor)]; NaN without a value."""
        mean = np.full(self._total.shape, np.nan)
        return np.asarray(np.divide(self._total, self._count, out=mean, where=self._count > 0), np.float32)

    def _blocks(self, start: int, size: int) -> tuple[npt.NDArray[np.int64], int]:
        """Where blocks begin in a tile, and the first block's number."""
        of_pixel = np.arange(start, start + size) // self.factor
        return np.flatnonzero(np.diff(of_pixel, prepend=of_pixel[0] - 1)), int(of_pixel[0])


def block_means(values: Array, factor: int) -> Array:
    """Of a whole map [h, w], see `BlockMeans`."""
    means = BlockMeans((values.shape[0], values.shape[1]), factor)
    means.add(Window(0, 0, *values.shape), values)
    return means.values
