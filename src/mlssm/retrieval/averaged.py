"""A layer of the cube on the working grid, band by band."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.grid import Window
from mlssm.retrieval.bands import bands
from mlssm.retrieval.multilook import block_mean
from mlssm.retrieval.stack import whole_blocks
from mlssm.scratch import scratch

Array = npt.NDArray[np.float32]


def averaged(
    read: Callable[[Window], npt.NDArray[Any]], extent: Window, blocks: Window, factor: int, min_valid_fraction: float
) -> Array:
    """The mean of each block, float32 [height, width] of `blocks`; NaN where too few pixels have a value.

    Args:
        read: Values of a window of the cube's grid that lies in the extent, NaN where missing.
        extent: The extent on the cube's grid.
        blocks: The same on the working grid.
        factor: Cube pixels along a block.
        min_valid_fraction: Share of a block's pixels that must have a value.
    """
    found: Array = scratch(blocks.shape, np.float32)
    for rows in bands(blocks.shape, factor**2):
        part = Window(blocks.row + rows.start, blocks.col, rows.stop - rows.start, blocks.width).refine(factor)
        inside = part.intersection(extent)
        whole = whole_blocks(np.asarray(read(inside), np.float32), inside, part)
        found[rows] = block_mean(whole, factor, min_valid_fraction)[0]
    return found
