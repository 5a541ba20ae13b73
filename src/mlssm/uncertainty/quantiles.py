"""Weighted quantiles."""

from __future__ import annotations

import numpy as np

from mlssm.grid import Floats


def weighted_quantiles(values: Floats, weights: Floats, levels: Floats) -> Floats:
    """Least value whose share of the weight, with all that is no larger, reaches each level (inverse of the CDF).

    Args:
        values: [n], at least one, in any order.
        weights: [n], 0 or more, not all 0.
        levels: 0..1 [L].

    Returns:
        [L].
    """
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    share /= share[-1]
    # rounding must not push a level past the value that it names
    positions = np.searchsorted(share, levels - 1e-12, side="left")
    return np.asarray(values[order][np.minimum(positions, len(values) - 1)])
