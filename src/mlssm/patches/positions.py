"""Where patches may lie in an extent: the regular grid, the denser one, and the lattice that both are taken from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.config import PatchesConfig
from mlssm.grid import Window

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Offset = tuple[int, int]
CORNER: Offset = (0, 0)


@dataclass(frozen=True)
class Origins:
    """Upper-left pixels of patches, counted from the extent's corner; below 0 where a patch begins outside."""

    rows: Ints
    cols: Ints


@dataclass(frozen=True)
class Grids:
    """The positions of an extent's patches.

    Attributes:
        window: The extent on the working grid.
        size: Pixels along a patch, and the regular grid's step.
        stride: The dense grid's step, pixels.
        offset: A position of both grids, rows and columns from the extent's corner; multiples of `step`, 0 or above.
    """

    window: Window
    size: int
    stride: int
    offset: Offset = CORNER

    @classmethod
    def of(cls, window: Window, patches: PatchesConfig, offset: Offset = CORNER) -> Grids:
        """The grids of an extent under a configuration."""
        return cls(window, patches.size, patches.dense_stride, offset)

    @property
    def step(self) -> int:
        """Step of the coarsest lattice that holds both grids, pixels; the dense stride where it divides the size."""
        return math.gcd(self.size, self.stride)

    def regular(self) -> Origins:
        """The regular grid: it covers every pixel once, so its outermost patches may reach past the extent."""
        firsts = (-(-offset % self.size) for offset in self.offset)
        return _mesh(
            *(np.arange(first, side, self.size) for first, side in zip(firsts, self.window.shape, strict=True))
        )

    def dense(self) -> Origins:
        """The dense grid; no patch reaches past the extent, or it would repeat what the regular grid has there."""
        starts = (offset % self.stride for offset in self.offset)
        ends = (side - self.size + 1 for side in self.window.shape)
        return _mesh(*(np.arange(start, end, self.stride) for start, end in zip(starts, ends, strict=True)))

    def lattice(self) -> Origins:
        """Every position of either grid under any offset: all patches on the lattice that meet the extent."""
        return _mesh(*(np.arange(self.step - self.size, side, self.step) for side in self.window.shape))

    def on_regular(self, origins: Origins) -> Bools:
        """Which positions are on the regular grid."""
        return self._on(origins, self.size)

    def on_dense(self, origins: Origins) -> Bools:
        """Which positions are on the dense grid."""
        return self._on(origins, self.stride) & self.inside(origins)

    def inside(self, origins: Origins) -> Bools:
        """Which patches lie in the extent as a whole."""
        rows, cols = ((0 <= starts) & (starts + self.size <= side) for starts, side in self._sides(origins))
        return np.asarray(rows & cols)

    def _on(self, origins: Origins, step: int) -> Bools:
        row, col = self.offset
        return np.asarray(((origins.rows - row) % step == 0) & ((origins.cols - col) % step == 0))

    def _sides(self, origins: Origins) -> tuple[tuple[Ints, int], tuple[Ints, int]]:
        return (origins.rows, self.window.height), (origins.cols, self.window.width)


def _mesh(rows: Ints, cols: Ints) -> Origins:
    grid = np.meshgrid(rows, cols, indexing="ij")
    return Origins(grid[0].ravel(), grid[1].ravel())
