"""Splitting space: square blocks, with a buffer around those that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.config import SplitConfig
from mlssm.errors import SplitError
from mlssm.grid import Window

Names = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Blocks:
    """Square blocks of the working grid, each for one split.

    Attributes:
        side: Pixels along a block, a multiple of the patch size.
        split: Split of each block by its row and column on the grid.
        buffer: Pixels around held-out blocks that training leaves out.
    """

    side: int
    split: dict[tuple[int, int], str]
    buffer: int

    def of_windows(self, windows: Sequence[Window]) -> Names:
        """The split of each patch; "none" where it straddles two or lies in the buffer of a held-out block."""
        return np.array([self._of_window(window) for window in windows] or [""])[: len(windows)]

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
        rows = range(window.row // self.side, (window.row + window.height - 1) // self.side + 1)
        cols = range(window.col // self.side, (window.col + window.width - 1) // self.side + 1)
        return {self.split[row, col] for row in rows for col in cols if (row, col) in self.split}


def lay_blocks(areas: Sequence[Window], pixel: float, patch: int, config: SplitConfig) -> Blocks:
    """Cut the areas into blocks and draw the split of each.

    Args:
        areas: The areas on the working grid.
        pixel: Pixel size of the working grid, metres.
        patch: Patch size, pixels; a block's side is rounded up to whole patches.
        config: Block and buffer in metres, fractions and seed.

    Raises:
        SplitError: There are fewer than three blocks.
    """
    side = max(1, int(np.ceil(config.block_m / pixel / patch))) * patch
    keys = sorted(
        {
            (row, col)
            for area in areas
            for row in range(area.row // side, (area.row + area.height - 1) // side + 1)
            for col in range(area.col // side, (area.col + area.width - 1) // side + 1)
        }
    )
    if len(keys) < 3:
        raise SplitError(
            f"{len(keys)} blocks of {side * pixel:g} m cannot be split in three; "
            "make split.block_m or patches.size smaller"
        )
    order = np.random.default_rng(config.seed).permutation(len(keys))
    test = max(1, round(config.test_fraction * len(keys)))
    val = max(1, round(config.val_fraction * len(keys)))
    names = np.array(["test"] * test + ["val"] * val + ["train"] * (len(keys) - test - val))
    split = {keys[place]: str(name) for place, name in zip(order, names, strict=True)}
    return Blocks(side, split, int(np.ceil(config.buffer_m / pixel)))
