"""Nowcast: what earlier images of the same season say of a pixel on a day, from how far they lay off the forecast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Seasons
from mlssm.weather.stations import Days

DECAY_DAYS = 30.0  # a residual's weight falls to 1/e in this time
PRIOR_WEIGHT = 0.5  # of a residual of 0


@dataclass(frozen=True)
class Moment:
    """A day, its season, and the driver on it [h, w], or broadcastable to it."""

    day: np.datetime64
    season: int
    driver: Floats

    @classmethod
    def all(cls, days: Days, seasons: Seasons, drivers: Floats) -> list[Moment]:
        """Of all times [T]."""
        return [cls(day, int(season), driver) for day, season, driver in zip(days, seasons, drivers, strict=True)]


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
    """An extent's images, as far as they had been acquired.

    Attributes:
        residual: Label less forecast, less its mean over the extent on its date [T, h, w]; NaN where there is no label.
        moments: Of each [T].
        scale: Difference of the driver over which a residual's weight falls to 1/e: its standard deviation.
    """

    residual: Floats
    moments: Sequence[Moment]
    scale: float

    @classmethod
    def of(
        cls, labels: Floats, forecast: Floats, moments: Sequence[Moment], scale: float, means: Floats | None = None
    ) -> Earlier:
        """From labels and forecasts of the images [T, h, w].

        Args:
            labels: NaN where there is none.
            forecast: Likewise.
            moments: Of each image.
            scale: As above.
            means: Of what is left over the whole extent on each date [T]; None: these pixels are the whole.
        """
        left = labels - forecast
        if means is None:
            return cls(centred(left), moments, scale)
        left -= means[:, None, None]
        return cls(left, moments, scale)

    def carry(self, to: Moment, decay_days: float = DECAY_DAYS) -> Carried:
        """Carry the residuals to a day: sum(w r) / (sum(w) + 0.5), w = exp(-age / decay - |g - g_i| / scale).

        What a wet day left says little of a dry one, so that images as wet as the day weigh most. Images of the day
        itself, of later ones or of another season are never used.
        """
        shape = self.residual.shape[1:]
        mean, total, last, age = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
        ages = [int((to.day - each.day) / np.timedelta64(1, "D")) for each in self.moments]
        used = [i for i, each in enumerate(self.moments) if each.season == to.season and ages[i] > 0]
        for image in sorted(used, key=lambda i: -ages[i]):  # oldest first
            known = np.isfinite(self.residual[image])
            apart = ages[image] / decay_days + np.abs(to.driver - self.moments[image].driver) / self.scale
            values, weight = np.where(known, self.residual[image], 0), np.exp(-apart)
            mean += weight * values
            total += weight * known
            last, age = np.where(known, values, last), np.where(known, ages[image], age)
        return Carried(mean / (total + PRIOR_WEIGHT), last, age)


def date_means(residuals: Iterable[Floats], dates: int) -> Floats:
    """Mean residual over the extent on each date [T], from bands of its rows [T, rows, w]; 0 where there is none."""
    total, count = np.zeros((2, dates))
    for residual in residuals:
        known = np.isfinite(residual)
        count += known.sum(axis=(1, 2))
        total += residual.sum(axis=(1, 2), where=known)
    return np.asarray(total / np.maximum(count, 1))


def centred(residual: Floats) -> Floats:
    """Residuals less their mean over the extent on each date [T, h, w]; NaN stays."""
    return np.asarray(residual - date_means([residual], len(residual))[:, None, None])


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
        """The share, at least 0; 0 where no image has an earlier one. It may pass 1: carrying draws towards 0."""
        return max(self.product / self.square, 0.0) if self.square > 0 else 0.0
