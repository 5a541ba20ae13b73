"""Backscatter averaged over blocks of pixels in linear power, from windows that come in rows of shards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlssm.cube import FILL, Packed, pack_power, unpack_power
from mlssm.grid import Window
from mlssm.retrieval.multilook import mean_of

TOGETHER = 16  # rows of blocks that are summed at once: about what the processor's cache holds


class BlockSums:
    """Sums of one date and polarisation on one extent; those that are complete are taken out row by row."""

    def __init__(self, blocks: Window, factor: int, min_valid_fraction: float) -> None:
        """Begin with no pixel.

        Args:
            blocks: The extent's blocks, in rows and columns of blocks of the whole grid.
            factor: Pixels along a block's side.
            min_valid_fraction: Share of a block's pixels that must have a value.
        """
        self._blocks, self._factor, self._least = blocks, factor, min_valid_fraction
        self._first = blocks.row  # of the rows that are kept
        self._total = np.zeros((0, blocks.width), np.float32)
        self._count = np.zeros((0, blocks.width), np.int32)

    def add(self, window: Window, packed: Packed) -> None:
        """Add a window of the grid's pixels, int16 of 0.01 dB; pixels of no block of the extent are left out."""
        within = window.intersection(self._blocks.refine(self._factor))
        if 0 in within.shape:
            return
        packed = packed[within.within(window).slices]
        factor = self._factor
        self._grow((within.row + within.height - 1) // factor + 1)
        starts = np.maximum(np.arange(within.col // factor * factor, within.col + within.width, factor), within.col)
        starts -= within.col
        row = within.row
        while row < within.row + within.height:
            end = min((row // factor + (1 if row % factor else TOGETHER)) * factor, within.row + within.height)
            if end - row >= factor:
                end -= end % factor
            self._add_rows(row, packed[row - within.row : end - within.row], within.col // factor, starts)
            row = end

    def _add_rows(self, row: int, packed: Packed, col: int, starts: npt.NDArray[np.int64]) -> None:
        """Add the pixels of whole rows of blocks, or of a part of one."""
        each = min(self._factor, len(packed))
        shape = (len(packed) // each, each, packed.shape[1])
        power = unpack_power(packed).reshape(shape).sum(axis=1)
        missing = packed == FILL
        if missing.any():
            known = np.add.reduceat((~missing).reshape(shape).sum(axis=1, dtype=np.int32), starts, axis=1)
        else:
            known = np.broadcast_to(np.diff(starts, append=packed.shape[1]) * each, (shape[0], len(starts)))
        first = row // self._factor - self._first
        place = slice(first, first + shape[0]), slice(col - self._blocks.col, col - self._blocks.col + len(starts))
        self._total[place] += np.add.reduceat(power, starts, axis=1)
        self._count[place] += known

    def take(self, row: int | None = None) -> tuple[int, Packed, npt.NDArray[np.uint16]]:
        """Take out the blocks above a row of the grid, or all.

        Returns:
            Their first row, counted from the extent's; the mean, int16 of 0.01 dB; and how many pixels are in each.
        """
        end = len(self._total) if row is None else min(max(row // self._factor - self._first, 0), len(self._total))
        total, count = self._total[:end], self._count[:end]
        mean = mean_of(total, count, self._factor**2, self._least)
        start = self._first - self._blocks.row
        self._total, self._count, self._first = self._total[end:], self._count[end:], self._first + end
        return start, pack_power(mean) if end else np.zeros(mean.shape, np.int16), count.astype(np.uint16)

    def _grow(self, end: int) -> None:
        more = end - self._first - len(self._total)
        if more > 0:
            empty = np.zeros((more, self._blocks.width))
            self._total = np.concatenate([self._total, empty.astype(np.float32)])
            self._count = np.concatenate([self._count, empty.astype(np.int32)])
