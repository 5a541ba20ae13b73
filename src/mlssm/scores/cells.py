"""Where a labelled pixel is counted: its date, its spatial block, and its place among all pixels of the extents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace


@dataclass(frozen=True)
class Layout:
    """Square blocks laid on each extent from its upper left corner, and a number for every pixel.

    Blocks, and pixels, of an extent are numbered row by row, on from those of the extent before.

    Attributes:
        shapes: Rows and columns of each extent.
        side: Pixels along a block; those at an extent's right and lower edge may be smaller.
    """

    shapes: tuple[tuple[int, int], ...]
    side: int

    @classmethod
    def of_metres(cls, shapes: Sequence[tuple[int, int]], block_m: float, pixel_m: float) -> Self:
        """Blocks of the whole number of pixels, at least 1, that is nearest to `block_m`."""
        return cls(tuple(shapes), max(1, round(block_m / pixel_m)))

    @property
    def blocks(self) -> npt.NDArray[np.int64]:
        """Extent of each block [blocks]."""
        counts = [math.prod(self._across(shape)) for shape in self.shapes]
        return np.repeat(np.arange(len(counts)), counts)

    def extents(self, some: slice) -> npt.NDArray[np.int64]:
        """Extent of each of some pixels that follow each other."""
        ends = np.cumsum([height * width for height, width in self.shapes])
        return np.searchsorted(ends, np.arange(some.start, some.stop), side="right")

    @property
    def pixels(self) -> int:
        """Number of pixels of all extents."""
        return sum(height * width for height, width in self.shapes)

    def maps(self, values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
        """Values of all pixels, as a map [height, width] of each extent."""
        ends = np.cumsum([height * width for height, width in self.shapes])[:-1]
        parts = np.split(values, ends)
        return tuple(part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True))

    def numbers(self, places: Sequence[PatchPlace]) -> tuple[Tensor, Tensor]:
        """Block and pixel of each patch's pixels, both int64 [B, 1, H, W]; past an extent, those of its edge."""
        blocks, pixels = zip(*(self._of_patch(place) for place in places), strict=True)
        return torch.stack(blocks)[:, None], torch.stack(pixels)[:, None]

    def _of_patch(self, place: PatchPlace) -> tuple[Tensor, Tensor]:
        height, width = self.shapes[place.extent]
        before = self.shapes[: place.extent]
        rows = torch.arange(place.rows.start, place.rows.stop).clamp(0, height - 1)[:, None]
        cols = torch.arange(place.cols.start, place.cols.stop).clamp(0, width - 1)[None, :]
        _, across = self._across((height, width))
        block = sum(math.prod(self._across(shape)) for shape in before) + rows // self.side * across + cols // self.side
        return block, sum(math.prod(shape) for shape in before) + rows * width + cols

    def _across(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Blocks down and across an extent."""
        height, width = shape
        return math.ceil(height / self.side), math.ceil(width / self.side)


@dataclass(frozen=True)
class LabelledPixels:
    """The labelled pixels of a batch, one after the other.

    Attributes:
        index: Which of the batch's pixels they are, one row after the other; int64 [pixels].
        target: SSM 0..1, float64 [pixels].
        standard_error: SSM units, float64 [pixels].
        attainable: Mean best prediction, SSM 0..1, float64 [pixels].
        date: Position among the split's dates, int64 [pixels].
        block: As `Layout` numbers it, int64 [pixels].
        pixel: As `Layout` numbers it, int64 [pixels].
    """

    index: Tensor
    target: Tensor
    standard_error: Tensor
    attainable: Tensor
    date: Tensor
    block: Tensor
    pixel: Tensor

    @classmethod
    def of(cls, batch: Batch, places: Sequence[PatchPlace], layout: Layout) -> Self:
        """Those of a batch whose patches lie at `places`."""
        index = batch.valid.reshape(-1).nonzero()[:, 0]
        block, pixel = layout.numbers(places)
        date = batch.date[:, None, None, None].expand_as(batch.valid)
        whole, numbers = (batch.target, batch.standard_error, batch.attainable), (date, block, pixel)
        floats = (values.reshape(-1)[index].double() for values in whole)
        return cls(index, *floats, *(values.reshape(-1)[index] for values in numbers))

    def select(self, prediction: Tensor) -> Tensor:
        """A prediction [B, 1, H, W] at these pixels, float64 [pixels]."""
        return prediction.reshape(-1)[self.index].double()
