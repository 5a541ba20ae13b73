"""Means over blocks of a map."""

import numpy as np
import pytest

from mlssm.grid import Window
from mlssm.jobs.block_means import BlockMeans, block_means


def test_means_of_blocks_leave_out_what_is_missing_and_the_last_ones_may_be_cut() -> None:
    values = np.random.default_rng(0).random((7, 8)).astype(np.float32)
    values[:3, :3], values[4, 5] = np.nan, np.nan
    found = block_means(values, 3)
    assert found.shape == (3, 3)
    assert np.isnan(found[0, 0])
    for row in range(3):
        for col in range(3):
            block = values[3 * row : 3 * row + 3, 3 * col : 3 * col + 3]
            if np.isfinite(block).any():
                assert found[row, col] == pytest.approx(np.nanmean(block))
    np.testing.assert_array_equal(block_means(values, 1), values)


def test_tiles_in_any_order_give_the_means_of_the_whole_map() -> None:
    values = np.random.default_rng(1).random((23, 31)).astype(np.float32)
    values[values > 0.8] = np.nan
    means = BlockMeans((23, 31), 4)
    for row, height in ((10, 13), (0, 10)):  # tiles that no blocks begin with
        for col, width in ((17, 14), (0, 17)):
            window = Window(row, col, height, width)
            means.add(window, values[window.slices])
    np.testing.assert_allclose(means.values, block_means(values, 4), rtol=1e-6)
