import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlssm.config import SplitConfig
from mlssm.errors import SplitError
from mlssm.grid import Window
from mlssm.patches.blocks import Blocks, lay_blocks

EXTENTS = st.sampled_from(
    [
        (Window(0, 0, 40, 40),),
        (Window(7, 3, 33, 41),),
        (Window(0, 0, 20, 20), Window(0, 25, 20, 20), Window(31, 3, 17, 26)),
    ]
)


def config(block: float = 300, buffer: float = 60, **more: float) -> SplitConfig:
    return SplitConfig(name="by_block", block_m=block, buffer_m=buffer, **more)


def patches_of(extents: tuple[Window, ...], size: int, stride: int) -> list[Window]:
    return [
        Window(extent.row + row, extent.col + col, min(size, extent.height - row), min(size, extent.width - col))
        for extent in extents
        for row in range(0, extent.height, stride)
        for col in range(0, extent.width, stride)
    ]


def painted(blocks: Blocks) -> np.ndarray:
    """The split of each pixel of the grid, from the blocks one by one; empty outside the extents."""
    canvas = np.full((60, 60), "", "<U5")
    for (number, row, col), name in blocks.split.items():
        extent = blocks.extents[number]
        top, left = extent.row + row * blocks.side, extent.col + col * blocks.side
        bottom, right = (
            min(top + blocks.side, extent.row + extent.height),
            min(left + blocks.side, extent.col + extent.width),
        )
        canvas[top:bottom, left:right] = name
    return canvas


@given(EXTENTS, st.integers(0, 50), st.sampled_from([2, 5]), st.integers(0, 4), st.integers(0, 4))
@settings(max_examples=40)
def test_patches_keep_to_one_split_and_out_of_the_buffer(extents, seed, size, buffer, reach) -> None:
    """Against a painted map: all of a patch is of its split, and no held-out pixel lies within the buffer."""
    blocks = lay_blocks(extents, 30, size, config(buffer=buffer * 30, seed=seed), reach)
    canvas, margin = painted(blocks), max(buffer, reach)
    assert blocks.buffer == margin
    for extent in extents:
        assert (canvas[extent.slices] != "").all()
    windows = patches_of(extents, size, 1)
    for window, name in zip(windows, blocks.of_windows(windows), strict=True):
        inside = set(canvas[window.slices].ravel())
        top, left = max(window.row - margin, 0), max(window.col - margin, 0)
        around = canvas[top : window.row + window.height + margin, left : window.col + window.width + margin]
        near_held_out = bool({"val", "test"} & set(around.ravel()))
        expected = "none" if len(inside) > 1 or (inside == {"train"} and near_held_out) else inside.pop()
        assert name == expected


@given(EXTENTS, st.integers(0, 50))
@settings(max_examples=20)
def test_no_patch_of_the_regular_grid_straddles(extents, seed: int) -> None:
    """Wherever an extent begins: blocks are counted from its corner, as patches are."""
    blocks = lay_blocks(extents, 30, 5, config(buffer=0, seed=seed))
    assert not (blocks.of_windows(patches_of(extents, 5, 5)) == "none").any()


def test_shares_and_seed() -> None:
    extents = (Window(0, 0, 40, 40),)
    names = list(lay_blocks(extents, 30, 5, config(120, test_fraction=0.25, val_fraction=0.125)).split.values())
    assert [names.count(name) for name in ("test", "val", "train")] == [16, 8, 40]
    first, again, other = (lay_blocks(extents, 30, 5, config(120, seed=seed)).split for seed in (1, 1, 2))
    assert first == again != other


def test_a_block_is_of_whole_patches_and_a_buffer_of_whole_pixels() -> None:
    blocks = lay_blocks((Window(0, 0, 60, 60),), 30, 8, config(block=400, buffer=100))
    assert (blocks.side, blocks.buffer) == (16, 4)


def test_too_few_blocks_and_too_large_shares_are_refused() -> None:
    extent = (Window(0, 0, 40, 40),)
    with pytest.raises(SplitError, match=r"1 blocks of 3000 m cannot be split in three; make split.block_m"):
        lay_blocks(extent, 30, 20, config(3000))
    with pytest.raises(SplitError, match=r"test_fraction=0.6 and split.val_fraction=0.5 leave nothing for training"):
        lay_blocks(extent, 30, 5, config(test_fraction=0.6, val_fraction=0.5))
    with pytest.raises(SplitError, match=r"of 4 blocks of 600 m 2 are for test and 2 for validation.* none for train"):
        lay_blocks(extent, 30, 5, config(600, test_fraction=0.45, val_fraction=0.45))


def test_with_inner_seasons_blocks_of_validation_are_trained_on_in_the_end() -> None:
    """The blocks of the test split stay where they are."""
    extent = (Window(0, 0, 40, 40),)
    shares = {"block_m": 120, "test_fraction": 0.25, "val_fraction": 0.125, "seed": 3}
    fold = lay_blocks(extent, 30, 5, SplitConfig(name="by_season_and_block", **shares)).split
    refit = lay_blocks(extent, 30, 5, SplitConfig(name="by_season_and_block", inner="seasons", **shares)).split
    assert {key: "train" if name == "val" else name for key, name in fold.items()} == refit
    assert "val" in fold.values()
