"""Where a variance lies: between dates, between extents on a date, between pixels of an extent, or in what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mlssm.scores.sums import SUMS

Of = Literal["labels", "error"]
N, TARGET, PREDICTION = (SUMS.index(name) for name in ("n", "target", "prediction"))
SQUARE: dict[Of, int] = {"labels": SUMS.index("target^2"), "error": SUMS.index("(prediction - target)^2")}


@dataclass(frozen=True)
class VarianceParts:
    """What a mean square is made of, SSM units squared; NaN where there are no pixels.

    With the mean of all values v, v_t of a date, v_ta of a date in an extent, v_a of an extent and v_p of a pixel, all
    of n values: the sums of n_t (v_t - v)^2, of n_ta (v_ta - v_t)^2 and of n_p (v_p - v_a)^2, over n. Where every pixel
    has a label on every date of its extent they are those of an analysis of variance (Searle, Casella & McCulloch 1992,
    Variance Components, section 4.2), and the rest is what pixels do on their own on single dates; else the rest takes
    up what they overlap by, and may fall below 0.

    Attributes:
        offset: Square of the mean v; 0 for labels, whose variance is about it.
        date: Between dates.
        date_extent: Between extents on a date.
        pixel: Between pixels of an extent.
        rest: What is left.
        total: The sum of all: mean squared error, or variance of the labels.
    """

    offset: float
    date: float
    date_extent: float
    pixel: float
    rest: float
    total: float

    @property
    def reason(self) -> str:
        """Why it is not defined; empty where it is."""
        return "" if self.total == self.total else "no labelled pixels, or predictions are not finite"


def variance_parts(sums: Tensor, extents: Sequence[int], between_pixels: float, of: Of) -> VarianceParts:
    """The parts of the squared error, or of the variance of the labels, on the natural distribution.

    Args:
        sums: float64 [dates, blocks, bins, len(SUMS)].
        extents: Extent of each block, numbered from 0.
        between_pixels: Sum of n_p (v_p - v_a)^2, see `mlssm.scores.temporal.TemporalSums.between_pixels`.
        of: Which values.
    """
    blocks = sums.double().sum(dim=2)
    place = torch.as_tensor(extents)
    cells = blocks.new_zeros(len(blocks), int(place.max()) + 1, blocks.shape[-1]).index_add_(1, place, blocks)
    n, value = cells[..., N], cells[..., TARGET]
    value = value if of == "labels" else cells[..., PREDICTION] - value
    number = n.sum()
    mean, square = value.sum() / number, cells[..., SQUARE[of]].sum() / number
    of_date, of_cell = _explained(value.sum(1), n.sum(1)), _explained(value, n)
    date, date_extent, pixel = of_date / number - mean**2, (of_cell - of_date) / number, between_pixels / number
    rest = square - mean**2 - date - date_extent - pixel
    offset = mean * 0 if of == "labels" else mean**2
    parts = torch.stack((offset, date, date_extent, pixel, rest, square - mean**2 + offset))
    return VarianceParts(*parts.tolist())


def error_shares(sums: Tensor) -> Tensor:
    """Share of the sum of squared errors that each date has, float64 [dates]; `sums` is [dates, ...]."""
    squared = sums.double().flatten(1, -2).sum(1)[:, SQUARE["error"]]
    return squared / squared.sum()


def _explained(total: Tensor, n: Tensor) -> Tensor:
    """Sum of n mean^2 of groups with these totals."""
    return torch.where(n > 0, total**2 / n.clamp(min=1), 0.0).sum()
