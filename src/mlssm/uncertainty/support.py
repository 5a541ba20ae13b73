"""What is left of an error when pixels are averaged: a date's common part does not average out.

The deviation of a mean over n pixels is the mean of their deviations times sqrt(C(n)), C(n) the date-weighted mean
square of block means of scaled residuals. It is measured for square blocks, interpolated in log n, and held beyond the
largest block: independent errors would make it 1 / n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlssm.grid import Floats

SIDES = (1, 2, 4, 8, 16)  # pixels along a block
LEAST_KNOWN = 0.5  # share of a block's pixels with a label, from which it counts


@dataclass(frozen=True)
class Support:
    """Share of the variance that is left in a mean.

    Attributes:
        pixels: Of the blocks that were measured, rising [S]; the first is 1.
        share: C of each [S].
    """

    pixels: Floats
    share: Floats

    @classmethod
    def fit(cls, dates: Sequence[Sequence[Floats]]) -> Support:
        """Measure it.

        Args:
            dates: Of each date its extents' scaled residuals [h, w], NaN where there is no label; at least one is
                known.
        """
        found = {}
        for side in SIDES:
            squares = [
                np.concatenate([block_means(extent, side).ravel() for extent in extents]) ** 2 for extents in dates
            ]
            known = [each[np.isfinite(each)].mean() for each in squares if np.isfinite(each).any()]
            if known:
                found[side * side] = float(np.mean(known))
        return cls(np.array(list(found), float), np.array(list(found.values())))

    def of(self, pixels: Floats | float) -> Floats:
        """C of means over so many pixels, 1 or more; of the shape of `pixels`.

        Raises:
            ValueError: A number of pixels is below 1.
        """
        if np.any(np.asarray(pixels) < 1):
            raise ValueError(f"a mean is over 1 pixel or more, not {np.min(pixels)}")
        return np.asarray(np.interp(np.log(pixels), np.log(self.pixels), self.share))

    def state(self) -> dict[str, Any]:
        """Arrays."""
        return {"pixels": self.pixels, "share": self.share}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Support:
        """From its state."""
        return cls(np.asarray(state["pixels"], float), np.asarray(state["share"], float))


def block_means(values: Floats, side: int) -> Floats:
    """Mean of the known pixels of each whole block, NaN where fewer than half are known.

    Args:
        values: [h, w], NaN where not known.
        side: Pixels along a block.

    Returns:
        [h // side, w // side].
    """
    rows, cols = (length // side for length in values.shape)
    blocks = values[: rows * side, : cols * side].reshape(rows, side, cols, side)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0).sum(axis=(1, 3))
    enough = count >= max(1, LEAST_KNOWN * side * side)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=enough))
