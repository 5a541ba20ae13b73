"""What the labels of patches come to, band by band: the tables of a whole extent would be large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.patches.positions import Origins

Floats = npt.NDArray[np.float64]
VALUES = 2_000_000  # pixels whose sums are made at once


def patch_tables(
    ssm: npt.NDArray[np.float32], many: Sequence[Origins], size: int, high_ssm: float
) -> list[pd.DataFrame]:
    """One row a patch: row, col, valid_fraction, mean_ssm, high_fraction and pixels, see `mlssm.patches.index`.

    Args:
        ssm: Of an extent at a time, NaN where there is no label, [height, width].
        many: Patches of one or more grids, each row by row.
        size: Pixels along a patch.
        high_ssm: Above which a pixel is wet.
    """
    starts = (np.unique(each) for origins in many for each in (origins.rows, origins.cols))
    cell = math.gcd(size, *(int(start) for each in starts for start in each))
    height = max(VALUES // ssm.shape[1] // cell, 1) * cell  # of the rows that patches of a band begin in
    parts: list[list[pd.DataFrame]] = [[] for _ in many]
    for first in range(-size, len(ssm), height):
        top = max(first, 0)
        sums = LabelSums.of(ssm[top : max(first + height - cell + size, 0)], high_ssm, cell)
        for found, origins in zip(parts, many, strict=True):
            here = slice(*np.searchsorted(origins.rows, (first, first + height)))
            table = sums.table(Origins(origins.rows[here] - top, origins.cols[here]), size)
            found.append(table.assign(row=table["row"] + top))
    return [pd.concat(found, ignore_index=True) for found in parts]


@dataclass(frozen=True)
class LabelSums:
    """Summed-area tables of rows of an extent at a time, so that a patch's sum costs four look-ups.

    Attributes:
        shape: Rows and columns of pixels.
        cell: Pixels along a cell; patches begin at corners of cells.
        valid: Number of labels above and to the left of each corner of a cell.
        ssm: Their sum.
        high: Number of those that are wet.
    """

    shape: tuple[int, int]
    cell: int
    valid: Floats
    ssm: Floats
    high: Floats

    @classmethod
    def of(cls, ssm: npt.NDArray[np.float32], high_ssm: float, cell: int) -> LabelSums:
        """The tables of SSM, NaN where there is no label, [height, width]."""
        valid = np.isfinite(ssm)
        layers = valid, np.where(valid, ssm, np.float32(0)), ssm > high_ssm
        return cls((ssm.shape[0], ssm.shape[1]), cell, *(_summed(layer, cell) for layer in layers))

    def table(self, origins: Origins, size: int) -> pd.DataFrame:
        """Of patches whose origins are counted from the same row."""
        height, width = self.shape
        top, left = np.maximum(origins.rows, 0), np.maximum(origins.cols, 0)
        bottom, right = np.minimum(origins.rows + size, height), np.minimum(origins.cols + size, width)
        # the last cells end with the extent, within or at a patch's end
        above, below, before, behind = (-(-side // self.cell) for side in (top, bottom, left, right))

        def total(table: Floats) -> Floats:
            return np.asarray(
                table[below, behind] - table[above, behind] - table[below, before] + table[above, before],
            )

        count = total(self.valid)
        some = np.maximum(count, 1)
        return pd.DataFrame(
            {
                "row": origins.rows,
                "col": origins.cols,
                "valid_fraction": count / ((bottom - top) * (right - left)),
                "mean_ssm": np.where(count > 0, total(self.ssm) / some, np.nan),
                "high_fraction": total(self.high) / some,
                "pixels": count.astype(np.int64),
            }
        )


def _summed(layer: npt.NDArray[np.generic], cell: int) -> Floats:
    """Sums of cells, summed up down and to the right."""
    for axis, side in enumerate(layer.shape):
        if cell > 1 and side:
            layer = np.add.reduceat(layer, np.arange(0, side, cell), axis=axis, dtype=np.float64)
    return np.pad(layer.astype(float).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
