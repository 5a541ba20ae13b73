"""Splitting space: square blocks, with a buffer around those that are held out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.config import SplitConfig
from mlssm.errors import SplitError
from mlssm.grid import Window

Names = npt.NDArray[np.str_]
Key = tuple[int, int, int]
"""Extent, and a block's row and column in it."""


@dataclass(frozen=True)
class Blocks:
    """Square blocks, counted from each extent's corner as its patches are, each for one split.

    Attributes:
        extents: The extents on the working grid.
        side: Pixels along a block, a multiple of the patch size.
        split: Split of each block.
        buffer: Pixels around held-out blocks, of any extent, that training leaves out.
    """

    extents: tuple[Window, ...]
    side: int
    split: Mapping[Key, str]
    buffer: int

    def of_windows(self, windows: Sequence[Window]) -> Names:
        """The split of each patch; "none" where it straddles two or lies in the buffer of a held-out block."""
        return np.array([self._of_window(window) for window in windows], "<U5")

    def _of_window(self, window: Window) -> str:
        found = self._touched(window)
        if len(found) != 1:
            return "none"
        name = found.pop()
        size = 2 * self.buffer
        wider = Window(window.row - self.buffer, window.col - self.buffer, window.height + size, window.width + size)
        if name == "train" and self._touched(wider) - {"train"}:
            return "none"
        return name

    def _touched(self, window: Window) -> set[str]:
        near = ((number, extent) for number, extent in enumerate(self.extents) if extent.intersects(window))
        return {
            self.split[number, row, col]
            for number, extent in near
            for row in _span(window.row - extent.row, window.height, extent.height, self.side)
            for col in _span(window.col - extent.col, window.width, extent.width, self.side)
        }


def lay_blocks(extents: Sequence[Window], pixel: float, patch: int, config: SplitConfig, reach: int = 0) -> Blocks:
    """Cut the extents into blocks and draw the split of each.

    Args:
        extents: The extents on the working grid.
        pixel: Pixel size of the working grid, metres.
        patch: Patch size, pixels; a block's side is rounded up to whole patches.
        config: Block and buffer in metres, fractions and seed.
        reach: Pixels within which labels share measurements (a moving multilook window's size less one); the buffer is
            at least that.

    Raises:
        SplitError: There are fewer than three blocks, or the fractions leave none for training.
    """
    side = max(1, math.ceil(config.block_m / pixel / patch)) * patch
    keys = list(_keys(extents, side))
    if len(keys) < 3:
        raise SplitError(
            f"{len(keys)} blocks of {side * pixel:g} m cannot be split in three; "
            "make split.block_m or patches.size smaller"
        )
    check_fractions(config)
    test, val = (max(1, round(share * len(keys))) for share in (config.test_fraction, config.val_fraction))
    if test + val >= len(keys):
        raise SplitError(
            f"of {len(keys)} blocks of {side * pixel:g} m {test} are for test and {val} for validation, which leaves "
            "none for training; make split.block_m, test_fraction or val_fraction smaller"
        )
    # what held-out seasons are validated on, all of them are trained on in the end
    names = ["test"] * test + ["train" if config.by_inner_seasons else "val"] * val
    names += ["train"] * (len(keys) - test - val)
    order = np.random.default_rng(config.seed).permutation(len(keys))
    split = {keys[place]: name for place, name in zip(order, names, strict=True)}
    return Blocks(tuple(extents), side, split, max(math.ceil(config.buffer_m / pixel), reach))


def check_fractions(config: SplitConfig) -> None:
    """Refuse fractions that leave nothing for training.

    Raises:
        SplitError: They sum to 1 or more.
    """
    if config.test_fraction + config.val_fraction >= 1:
        raise SplitError(
            f"split.test_fraction={config.test_fraction:g} and split.val_fraction={config.val_fraction:g} "
            "leave nothing for training; their sum must be below 1"
        )


def _keys(extents: Sequence[Window], side: int) -> Iterator[Key]:
    for number, extent in enumerate(extents):
        for row in range(math.ceil(extent.height / side)):
            for col in range(math.ceil(extent.width / side)):
                yield number, row, col


def _span(start: int, length: int, limit: int, side: int) -> range:
    """Blocks along one axis that the pixels from `start` touch, of those that an extent of `limit` pixels has."""
    first, last = max(start, 0), min(start + length, limit) - 1
    return range(first // side, last // side + 1)
