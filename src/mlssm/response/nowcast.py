"""Nowcast: what earlier images of the same season say of a pixel on a day, from how far they lay off the forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Seasons
from mlssm.weather.stations import Days

DECAY_DAYS = 30.0  # a residual's weight falls to 1/e in this time
PRIOR_WEIGHT = 0.5  # of a residual of 0


@dataclass(frozen=True)
class Carried:
    """Residuals of earlier images, carried to a day.

    Attributes:
        mean: Weighted mean, drawn towards 0 [h, w]; 0 where there is no earlier image.
        last: The latest one [h, w]; 0 where there is none.
        age: Days since the latest [h, w]; infinite where there is none.
    """

    mean: Floats
    last: Floats
    age: Floats

    @property
    def known(self) -> float:
        """Share of the pixels with an earlier image."""
        return float(np.isfinite(self.age).mean())


@dataclass(frozen=True)
class Earlier:
    """An area's images, as far as they had been acquired.

    Attributes:
        residual: Label less forecast, less its mean over the area on its date [T, h, w]; NaN where there is no label.
        days: Local day of each [T].
        seasons: Of each [T].
    """

    residual: Floats
    days: Days
    seasons: Seasons

    @classmethod
    def of(cls, labels: Floats, forecast: Floats, days: Days, seasons: Seasons) -> Earlier:
        """From labels and forecasts of the images [T, h, w]."""
        return cls(centred(labels - forecast), days, seasons)

    def carry(self, day: np.datetime64, season: int, decay_days: float = DECAY_DAYS) -> Carried:
        """Carry the residuals to a day: sum(w r) / (sum(w) + 0.5), w = exp(-age / decay), of images before it.

        Images of the day itself or of another season are never used.
        """
        shape = self.residual.shape[1:]
        mean, total, last, age = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
        ages = (day.astype("datetime64[D]") - self.days.astype("datetime64[D]")).astype(np.int64)
        used = np.flatnonzero((self.seasons == season) & (ages > 0))
        for image in used[np.argsort(-ages[used], kind="stable")]:  # oldest first
            known = np.isfinite(self.residual[image])
            values, weight = np.where(known, self.residual[image], 0), np.exp(-ages[image] / decay_days)
            mean += weight * values
            total += weight * known
            last, age = np.where(known, values, last), np.where(known, ages[image], age)
        return Carried(mean / (total + PRIOR_WEIGHT), last, age)


def centred(residual: Floats) -> Floats:
    """Residuals less their mean over the area on each date [T, h, w]; NaN stays."""
    known = np.isfinite(residual)
    count = np.maximum(known.sum(axis=(1, 2), keepdims=True), 1)
    return np.asarray(residual - np.where(known, residual, 0).sum(axis=(1, 2), keepdims=True) / count)


@dataclass(frozen=True)
class Persistence:
    """Sums from which phi, the share of a carried residual that lasts, is fitted by least squares; sums add up.

    Attributes:
        product: Sum of carried residual times residual.
        square: Sum of carried residuals squared.
    """

    product: float = 0.0
    square: float = 0.0

    def __add__(self, other: Persistence) -> Persistence:
        """Of both parts."""
        return Persistence(self.product + other.product, self.square + other.square)

    @classmethod
    def of(cls, carried: Floats, residual: Floats) -> Persistence:
        """Of one date: both [h, w], the residual NaN where there is no label."""
        known = np.isfinite(residual)
        return cls(float(carried[known] @ residual[known]), float((carried[known] ** 2).sum()))

    @property
    def phi(self) -> float:
        """The share, within 0..1; 0 where no image has an earlier one."""
        return min(max(self.product / self.square, 0.0), 1.0) if self.square > 0 else 0.0
