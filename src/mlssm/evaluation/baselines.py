"""Baselines that a network has to beat: the pixel's mean, and the antecedent precipitation index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from mlssm.evaluation import AnyFloats
from mlssm.grid import Floats

AREA_SHARE = 0.7
# Below this sum of squared deviations of log(1 + index) a pixel saw but one wetness, and has no slope of its own.
LEAST_SPREAD = 1e-9
WHOLE = slice(None)


@dataclass(frozen=True)
class LabelSums:
    """Sums over each pixel's training labels y and their wetness x = log(1 + index), filled patch by patch.

    One area's five maps are all the memory that fitting a baseline takes, however many dates there are.

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
        valid, x = np.isfinite(ssm), _wetness(api)
        y = np.where(valid, ssm, 0.0)
        for total, term in zip((self.n, self.x, self.y, self.xx), (valid, valid * x, y, valid * x**2), strict=True):
            total[place] += term
        self.xy[place] += x * y

    def slope(self) -> Floats:
        """0.7 of the area's mean slope and 0.3 of the pixel's own least-squares slope, SSM per unit of wetness."""
        n = np.maximum(self.n, 1)
        spread = self.xx - self.x**2 / n
        known = spread > LEAST_SPREAD
        own = np.divide(self.xy - self.x * self.y / n, spread, out=np.zeros_like(spread), where=known)
        area = float(own[known].mean()) if known.any() else 0.0
        slope: Floats = AREA_SHARE * area + (1 - AREA_SHARE) * np.where(known, own, area)
        return slope


@dataclass(frozen=True)
class PixelMean:
    """Each pixel is predicted as its training mean, whatever the weather.

    Attributes:
        mean: Training mean [h, w], SSM 0..1.
    """

    mean: Floats

    @classmethod
    def fit(cls, sums: LabelSums, fallback: float) -> Self:
        """Average the training labels of one area.

        Args:
            sums: Of the labels.
            fallback: Mean of all areas' training labels, SSM 0..1. A pixel without labels gets its area's mean, and
                an area without any gets this.
        """
        return cls(_mean(sums.y, sums.n, fallback))

    def predict(self, rows: slice = WHOLE, cols: slice = WHOLE) -> Floats:
        """SSM of the rows and columns, 0..1, the same for every date."""
        return self.mean[rows, cols]


@dataclass(frozen=True)
class AntecedentPrecipitation:
    """Each pixel is its training mean plus a slope times the anomaly of log(1 + antecedent precipitation index).

    The slope is 0.7 of the area's mean slope and 0.3 of the pixel's own least-squares slope: speckle makes a single
    pixel's slope noisy, and the share of the area steadies it. The index follows Kohler & Linsley 1951; see
    `mlssm.weather.windows.antecedent_precipitation_index`.

    Attributes:
        mean: Training mean [h, w], SSM 0..1.
        wetness: Training mean of log(1 + index) at each pixel's valid dates [h, w].
        slope: SSM per unit of log(1 + index) [h, w].
    """

    mean: Floats
    wetness: Floats
    slope: Floats

    @classmethod
    def fit(cls, sums: LabelSums, fallback: float) -> Self:
        """Fit means and slopes on the training labels of one area.

        Args:
            sums: Of the labels.
            fallback: Mean of all areas' training labels, SSM 0..1, for an area without any. A pixel without labels
                gets its area's means, and one that saw a single wetness its area's slope.
        """
        # where no pixel has a label the slope is 0, and the wetness does not matter
        return cls(_mean(sums.y, sums.n, fallback), _mean(sums.x, sums.n, 0.0), sums.slope())

    def predict(self, api: float, rows: slice = WHOLE, cols: slice = WHOLE) -> Floats:
        """SSM of the rows and columns, 0..1, on a day with this antecedent precipitation index (mm).

        Raises:
            ValueError: The index is negative or not finite.
        """
        anomaly = _wetness(api) - self.wetness[rows, cols]
        ssm: Floats = np.clip(self.mean[rows, cols] + self.slope[rows, cols] * anomaly, 0.0, 1.0)
        return ssm


def _mean(total: Floats, n: Floats, fallback: float) -> Floats:
    area = total.sum() / n.sum() if n.any() else fallback
    mean: Floats = np.divide(total, n, out=np.full(n.shape, area, dtype=float), where=n > 0)
    return mean


def _wetness(api: float) -> float:
    if not (np.isfinite(api) and api >= 0):
        raise ValueError(f"the antecedent precipitation index must be finite and >= 0 mm, not {api}")
    return float(np.log1p(api))
