"""Open water, which has no soil moisture to map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlssm.retrieval.stack import ExtentStack

# rows that are read at once, so that memory stays bounded by the number of dates
ROWS = 256


def open_water(stack: ExtentStack, below_db: float) -> npt.NDArray[np.bool_]:
    """Pixels whose backscatter, averaged over all images, is that of water; the labels leave out the same.

    Water is told by the leading polarisation alone, whatever the channel mixes in.

    A pixel that no image has measured is not taken for water.

    Args:
        stack: An extent's backscatter.
        below_db: A mean of this or less is water, dB.

    Returns:
        [height, width].
    """
    height, width = stack.packed.shape[1:]
    water = np.zeros((height, width), bool)
    for start in range(0, height, ROWS):
        rows = slice(start, start + ROWS)
        sigma = stack.leading(slice(None), rows, slice(None))
        count = np.isfinite(sigma).sum(axis=0)
        total = np.nansum(sigma, axis=0, dtype=float)
        water[rows] = (count > 0) & (total <= below_db * np.maximum(count, 1))
    return water
