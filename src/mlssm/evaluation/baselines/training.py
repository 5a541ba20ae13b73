"""What baselines are fitted on: the training patches, read once, and sums over their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.grid import Floats
from mlssm.retrieval.bands import bands
from mlssm.scores import AnyFloats
from mlssm.scratch import scratch

WHOLE = slice(None)


class TrainingPatch(NamedTuple):
    """A patch of the training split.

    Attributes:
        place: Where and when it lies.
        batch: The patch, without a batch dimension.
    """

    place: PatchPlace
    batch: Batch

    def labels(self, shape: tuple[int, int]) -> Floats:
        """SSM 0..1 of the part that lies in the extent, float64 [h, w] = `shape`; NaN where no training sample is."""
        height, width = shape
        target, valid = (values[0, :height, :width].numpy() for values in (self.batch.target, self.batch.valid))
        return np.where(valid, target, np.nan).astype(float)


def regular_positions(train: PatchDataset) -> npt.NDArray[np.int64]:
    """Positions of the patches of the regular grid: those of the second pass would count the wet pixels twice."""
    return np.flatnonzero(train.patches["pass"].to_numpy() == 1)


def patches_of(batch: Batch, places: Sequence[PatchPlace]) -> Iterator[TrainingPatch]:
    """The patches of a batch, one by one."""
    for number, place in enumerate(places):
        yield TrainingPatch(place, Batch(*(values[number] for values in batch)))


@dataclass(frozen=True)
class PixelLabels:
    """Sums over each pixel's training labels y and what explains them, x, filled patch by patch.

    One extent's five maps are all the memory that fitting a pixel's mean and slope takes, however many dates there are.

    Attributes:
        n: Number of labels of each pixel [h, w].
        x: Sum of what explains them [h, w].
        y: Sum of the labels [h, w].
        xx: Sum of its squares [h, w].
        xy: Sum of the products [h, w].
    """

    n: Floats
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        """No labels yet, for an extent of `shape` rows and columns."""
        return cls(*(scratch(shape, np.float64) for _ in range(5)))

    def add(self, ssm: AnyFloats, x: AnyFloats | float, rows: slice = WHOLE, cols: slice = WHOLE) -> None:
        """Add the labels of one date.

        Args:
            ssm: Labels [height, width] of the rows and columns, SSM 0..1; NaN = masked or not a training sample.
            x: What explains them on that date, of each pixel or of all; NaN = unknown.
            rows: Rows of the extent.
            cols: Columns of the extent.

        Raises:
            ValueError: The labels do not fit the rows and columns.
        """
        place = rows, cols
        if ssm.shape != self.n[place].shape:
            raise ValueError(f"labels {ssm.shape} do not fit rows and columns {self.n[place].shape}")
        valid = np.isfinite(ssm) & np.isfinite(x)
        y, known = np.where(valid, ssm, 0.0), np.where(valid, x, 0.0)
        terms = (valid, known, y, known**2, known * y)
        for total, term in zip((self.n, self.x, self.y, self.xx, self.xy), terms, strict=True):
            total[place] += term

    def slope(self, least_spread: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Least-squares slope of y on x at each pixel [h, w], and where x varies by more than a sum of squares."""
        slope, known = scratch(self.n.shape, np.float64), np.zeros(self.n.shape, bool)
        for rows in bands((len(self.n), self.n[0].size)):
            parts = (part[rows] for part in (self.n, self.x, self.y, self.xx, self.xy))
            total, x, y, xx, xy = parts
            n = np.maximum(total, 1)
            spread = xx - x**2 / n
            known[rows] = spread > least_spread
            np.divide(xy - x * y / n, spread, out=slope[rows], where=known[rows])
        return slope, known


def wetness(api: float) -> float:
    """log(1 + antecedent precipitation index in mm).

    Raises:
        ValueError: The index is negative or not finite.
    """
    if not (np.isfinite(api) and api >= 0):
        raise ValueError(f"the antecedent precipitation index must be finite and >= 0 mm, not {api}")
    return float(np.log1p(api))


def pixel_means(total: Floats, n: Floats, fallback: float) -> Floats:
    """Each pixel's total / n [h, w]; a pixel without any gets its extent's, and an extent without any `fallback`."""
    extent = total.sum() / n.sum() if n.any() else fallback
    mean: Floats = scratch(n.shape, np.float64)
    mean[...] = extent
    return np.divide(total, n, out=mean, where=n > 0)
