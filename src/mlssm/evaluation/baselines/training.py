"""The training patches that baselines are fitted on, and sums over their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.grid import Floats
from mlssm.scores import AnyFloats

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
        """SSM 0..1 of the part that lies in the area, float64 [h, w] = `shape`; NaN where it is no training sample."""
        height, width = shape
        target, valid = (values[0, :height, :width].numpy() for values in (self.batch.target, self.batch.valid))
        return np.where(valid, target, np.nan).astype(float)


def regular_positions(train: PatchDataset) -> npt.NDArray[np.int64]:
    """Positions in a dataset of the patches of the regular grid, which do not overlap."""
    return np.flatnonzero(train.patches["pass"].to_numpy() == 1)


def training_patches(train: PatchDataset) -> Iterator[TrainingPatch]:
    """The patches of the regular grid one by one: those of the second pass would count the wet pixels twice."""
    for position in regular_positions(train):
        yield TrainingPatch(train.place(int(position)), train[int(position)])


@dataclass(frozen=True)
class PixelLabels:
    """Sums over each pixel's training labels y and their wetness x = log(1 + index), filled patch by patch.

    One area's five maps are all the memory that fitting a pixel's mean and slope takes, however many dates there are.

    Attributes:
        n: Number of labels of each pixel [h, w].
        x: Sum of their wetness [h, w].
        y: Sum of the labels [h, w].
        xx: Sum of the wetness squared [h, w].
        xy: Sum of the products [h, w].
    """

    n: Floats
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        """No labels yet, for an area of `shape` rows and columns."""
        return cls(*(np.zeros(shape) for _ in range(5)))

    def add(self, ssm: AnyFloats, api: float, rows: slice = WHOLE, cols: slice = WHOLE) -> None:
        """Add the labels of one date.

        Args:
            ssm: Labels [height, width] of the rows and columns, SSM 0..1; NaN = masked or not a training sample.
            api: Antecedent precipitation index of the date, mm.
            rows: Rows of the area.
            cols: Columns of the area.

        Raises:
            ValueError: The index is negative or not finite, or the labels do not fit the rows and columns.
        """
        place = rows, cols
        if ssm.shape != self.n[place].shape:
            raise ValueError(f"labels {ssm.shape} do not fit rows and columns {self.n[place].shape}")
        valid, x = np.isfinite(ssm), wetness(api)
        y = np.where(valid, ssm, 0.0)
        for total, term in zip((self.n, self.x, self.y, self.xx), (valid, valid * x, y, valid * x**2), strict=True):
            total[place] += term
        self.xy[place] += x * y


def wetness(api: float) -> float:
    """log(1 + antecedent precipitation index in mm).

    Raises:
        ValueError: The index is negative or not finite.
    """
    if not (np.isfinite(api) and api >= 0):
        raise ValueError(f"the antecedent precipitation index must be finite and >= 0 mm, not {api}")
    return float(np.log1p(api))


def pixel_means(total: Floats, n: Floats, fallback: float) -> Floats:
    """Each pixel's total / n [h, w]; a pixel without any gets its area's, and an area without any `fallback`."""
    area = total.sum() / n.sum() if n.any() else fallback
    mean: Floats = np.divide(total, n, out=np.full(n.shape, area, dtype=float), where=n > 0)
    return mean
