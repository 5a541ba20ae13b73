from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlssm.errors import ConfigError
from mlssm.grid import Window
from mlssm.inference.tiles import Blend, plan_tiles

sizes = st.integers(1, 90)
# No deadline: a busy machine is no fault of the tiles.
QUICK = settings(deadline=None, max_examples=50)


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, int, int]:
    tile = draw(st.integers(4, 40))
    return draw(sizes), draw(sizes), tile, draw(st.integers(0, tile - 2))


@QUICK
@given(plans())
def test_tiles_cover_the_extent_and_stay_inside(plan: tuple[int, int, int, int]) -> None:
    height, width, tile, _ = plan
    covered = np.zeros((height, width), dtype=int)
    for window in plan_tiles(*plan):
        assert window.shape == (min(tile, height), min(tile, width))
        assert min(window.row, window.col) >= 0
        assert window.row + window.height <= height
        assert window.col + window.width <= width
        covered[window.slices] += 1
    assert covered.min() >= 1


@QUICK
@given(plans())
def test_neighbours_share_at_least_the_overlap_and_none_is_doubled(plan: tuple[int, int, int, int]) -> None:
    _, width, tile, overlap = plan
    assume(width > tile)
    tiles = plan_tiles(*plan)
    assert len(set(tiles)) == len(tiles)
    cols = sorted({window.col for window in tiles})
    assert min(left + tile - right for left, right in pairwise(cols)) >= overlap


@QUICK
@given(plans(), st.integers(0, 2**16))
def test_blending_crops_of_a_map_returns_the_map(plan: tuple[int, int, int, int], seed: int) -> None:
    truth = np.random.default_rng(seed).random(plan[:2]).astype(np.float32)
    blend = Blend(truth.shape)
    for window in plan_tiles(*plan):
        blend.add(window, truth[window.slices])
    np.testing.assert_allclose(blend.result(), truth, atol=1e-6, rtol=0)


@QUICK
@given(plans(), st.floats(0, 1, width=32))
def test_blending_a_constant_gives_the_constant(plan: tuple[int, int, int, int], constant: float) -> None:
    blend = Blend(plan[:2])
    for window in plan_tiles(*plan):
        blend.add(window, np.full(window.shape, constant))
    np.testing.assert_allclose(blend.result(), constant, atol=1e-6, rtol=0)


def test_between_two_tiles_the_map_goes_over_smoothly() -> None:
    blend = Blend((4, 48))
    blend.add(Window(0, 0, 4, 32), np.zeros((4, 32)))
    blend.add(Window(0, 16, 4, 32), np.ones((4, 32)))
    row = blend.result()[0]
    assert (row[:16] == 0).all()
    assert (row[32:] == 1).all()
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.12
    assert row[15] + row[32] == pytest.approx(1)


def test_nodata_of_one_tile_leaves_the_other_and_of_all_stays_nodata() -> None:
    blend = Blend((1, 3))
    blend.add(Window(0, 0, 1, 2), np.array([[np.nan, np.nan]]))
    blend.add(Window(0, 1, 1, 2), np.array([[0.25, 0.5]]))
    np.testing.assert_array_equal(blend.result(), np.array([[np.nan, 0.25, 0.5]], dtype=np.float32))


def test_the_widest_overlap_moves_a_tile_by_a_pixel() -> None:
    assert [window.col for window in plan_tiles(4, 7, 4, 3)] == [0, 1, 2, 3]


@pytest.mark.parametrize("overlap", [16, 17, -1])
def test_an_overlap_that_cannot_be_is_refused(overlap: int) -> None:
    with pytest.raises(ConfigError, match=f"overlap={overlap} is not allowed with tile=16"):
        plan_tiles(50, 50, 16, overlap)


@pytest.mark.parametrize("window", [Window(0, 3, 2, 2), Window(-1, 0, 2, 2), Window(3, 0, 2, 2)])
def test_a_tile_out_of_the_extent_is_refused(window: Window) -> None:
    with pytest.raises(ValueError, match="reaches out of an extent"):
        Blend((4, 4)).add(window, np.zeros((2, 2)))


def test_a_prediction_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit its window"):
        Blend((4, 4)).add(Window(0, 0, 2, 2), np.zeros((2, 3)))
