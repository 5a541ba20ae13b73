"""What is kept of a stream of predictions: sums and a digest, neither of which grows with the number of patches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mlssm.scores.cells import LabelledPixels, Layout
from mlssm.scores.sums import SUMS, bin_of, terms
from mlssm.scratch import scratch

CELLS = 2**16  # that are turned at once


class ScoreTally:
    """The sums of `mlssm.scores.sums` of each model, by date, spatial block and SSM bin."""

    def __init__(self, models: Sequence[str], dates: int, layout: Layout, bins: int) -> None:
        """Start with no pixel.

        Args:
            models: Their names.
            dates: Number of dates.
            layout: The blocks.
            bins: Number of equal SSM bins over [0, 1].
        """
        self._shape = (dates, len(layout.blocks), bins)
        shape = len(SUMS), torch.Size(self._shape).numel()
        self._sums = {name: torch.from_numpy(scratch(shape, np.float64)) for name in models}
        self._digest = hashlib.sha256(f"{layout.shapes} {layout.side} {self._shape}".encode())

    def cell(self, pixels: LabelledPixels) -> Tensor:
        """Where the sums of each pixel go, the same for all models; int64 [pixels]."""
        _, blocks, bins = self._shape
        return (pixels.date * blocks + pixels.block) * bins + bin_of(pixels.target, bins)

    def add_labels(self, pixels: LabelledPixels) -> None:
        """Remember which labels were scored, in the order in which they come."""
        # a pixel after the other, whatever the batches; floats by their bits
        places = pixels.date.numpy(), pixels.pixel.numpy()
        self._digest.update(np.column_stack((*places, pixels.target.numpy().view(np.int64))).tobytes())

    def add(self, model: str, pixels: LabelledPixels, cell: Tensor, prediction: Tensor) -> None:
        """Add a model's predictions, float64 [pixels]."""
        added = terms(prediction, pixels.target, pixels.standard_error, pixels.attainable)
        self._sums[model].index_add_(1, cell, added)

    @property
    def sums(self) -> dict[str, Tensor]:
        """By model, float64 [dates, blocks, bins, len(SUMS)]."""
        return {name: _turned(sums).view(*self._shape, len(SUMS)) for name, sums in self._sums.items()}

    @property
    def digest(self) -> str:
        """Of the labels, their places and dates: equal for two runs that were scored on the same."""
        return self._digest.hexdigest()


def _turned(sums: Tensor) -> Tensor:
    """Sums [sum, cell] as [cell, sum]: a cell's sums beside each other, some cells at a time."""
    found = torch.from_numpy(scratch((sums.shape[1], len(SUMS)), np.float64))
    for start in range(0, len(found), CELLS):
        found[start : start + CELLS] = sums[:, start : start + CELLS].T
    return found
