"""Base: each pixel's mean and its response to the driver, by generalised least squares, pooled partially.

SSM = clip(m + b (g - c), 0, 1), g the driver, c its mean over the pixel's training dates. Errors of dates of one season
go together: V = I + rho [same season]. The inverse of such a matrix is known (Sherman & Morrison 1950, Ann. Math. Stat.
21), so that sums over seasons are all that the fit needs, whichever dates a pixel lacks:

    u' V^-1 v = sum u v - sum over seasons of rho / (1 + rho n) (sum of u in it) (sum of v in it)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.retrieval.bands import bands
from mlssm.scratch import scratch

Seasons = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

SEASON_CORRELATION = 0.2
# below this the dates that a pixel has are too much alike to tell a slope
LEAST_SPREAD = 1e-6
LEAST_DATES = 3


@dataclass(frozen=True)
class Population:
    """How the mean extent responds: for an extent without labels. Each is the mean over extents with labels."""

    mean: float
    slope: float
    centre: float

    @classmethod
    def of(cls, fits: Sequence[PixelFits]) -> Population:
        """The mean extent."""
        known = [fit for fit in fits if fit.known.any()]
        if not known:
            return cls(float("nan"), 0.0, 0.0)
        rows = [(fit.plain, fit.extent_slope, float(fit.centre[fit.known].mean())) for fit in known]
        return cls(*(float(part) for part in np.mean(rows, axis=0)))


@dataclass(frozen=True)
class Response:
    """How pixels respond.

    Attributes:
        mean: SSM where the driver is at the centre [h, w].
        slope: SSM per unit of the driver [h, w].
        centre: Mean driver of the training dates [h, w].
    """

    mean: Floats
    slope: Floats
    centre: Floats

    def rows(self, rows: slice) -> Response:
        """That of some rows."""
        return Response(self.mean[rows], self.slope[rows], self.centre[rows])

    def linear(self, driver: Floats) -> Floats:
        """Mean + slope (driver - centre); `driver` [..., h, w] or broadcastable to it."""
        return np.asarray(self.mean + self.slope * (driver - self.centre))

    def ssm(self, driver: Floats) -> Floats:
        """The same, clipped to 0..1."""
        return np.clip(self.linear(driver), 0, 1)


@dataclass(frozen=True)
class PixelFits:
    """Each pixel's own generalised least squares.

    Attributes:
        mean: Value where the driver is at the centre [h, w]; NaN where a pixel has no value.
        slope: Value per unit of the driver [h, w]; NaN where its dates cannot tell.
        centre: Mean driver of the pixel's dates [h, w]; NaN where it has none.
        plain: Mean of all values of the extent; NaN where there is none.
    """

    mean: Floats
    slope: Floats
    centre: Floats
    plain: float

    @property
    def known(self) -> Booleans:
        """Pixels that have values [h, w]."""
        return np.isfinite(self.mean)

    @property
    def extent_slope(self) -> float:
        """Mean slope of the pixels that have one; 0 where none has."""
        known = np.isfinite(self.slope)
        return float(self.slope[known].mean()) if known.any() else 0.0

    def pooled(self, own_share: float, population: Population) -> Response:
        """Give each pixel a share of its own slope and the rest of its extent's.

        The mean is the extent's plain one plus how far the pixel's lies off the extent's: season effects, which the
        generalised mean weighs down, are the extent's alike. A pixel without values gets its extent's mean and slope,
        an extent without any the population's.

        Args:
            own_share: 0..1.
            population: The mean extent.
        """
        shape, known = self.mean.shape, self.known
        if not known.any():
            return Response(*(np.full(shape, part) for part in (population.mean, population.slope, population.centre)))
        extent = self.extent_slope
        slope = extent + own_share * (np.where(np.isfinite(self.slope), self.slope, extent) - extent)
        mean = np.where(known, self.plain + self.mean - self.mean[known].mean(), self.plain)
        return Response(mean, slope, np.where(known, self.centre, self.centre[known].mean()))


def fit_pixels(values: Floats, driver: Floats, seasons: Seasons, correlation: float = SEASON_CORRELATION) -> PixelFits:
    """Fit mean and slope of each pixel.

    Args:
        values: Labels, or anything else that responds, of training dates [T, h, w]; NaN = missing.
        driver: [T, h, w], or broadcastable to it.
        seasons: Of each date [T].
        correlation: rho: covariance of two dates of one season, in variances of a date.

    Raises:
        ValueError: The correlation is negative, or there is no date.
    """
    if correlation < 0 or not len(values):
        raise ValueError(f"season correlation {correlation} is negative, or there is no date to fit")
    shape = values.shape[1:]
    mean, slope, centre = (scratch(shape, np.float64) for _ in range(3))
    spread_out = np.broadcast_to(driver, values.shape)
    total, number = 0.0, 0
    for rows in bands((shape[0], shape[1]), len(values)):
        fitted, of_rows, known = _fit_rows(values[:, rows], spread_out[:, rows], seasons, correlation)
        mean[rows], slope[rows], centre[rows] = fitted
        total, number = total + of_rows, number + known
    return PixelFits(mean, slope, centre, total / number if number else float("nan"))


def _fit_rows(
    values: Floats, driver: Floats, seasons: Seasons, correlation: float
) -> tuple[tuple[Floats, Floats, Floats], float, int]:
    """Mean, slope and centre of some rows' pixels [rows, w]; the sum of their values, and how many there are."""
    valid = np.isfinite(values)
    count = valid.sum(axis=0)
    x, y = np.where(valid, driver, 0.0), np.where(valid, values, 0.0)
    centre = np.divide(x.sum(axis=0), count, out=np.full(count.shape, np.nan), where=count > 0)
    x = np.where(valid, driver - np.nan_to_num(centre), 0.0)  # differences keep their digits
    one, sx, sy, sxx, sxy = _whitened(valid, x, y, seasons, correlation)
    some = count > 0
    spread = sxx - np.divide(sx**2, one, out=np.zeros_like(one), where=some)
    tells = (spread > LEAST_SPREAD) & (count >= LEAST_DATES)
    slope = np.full(count.shape, np.nan)
    np.divide(sxy - sx * np.divide(sy, one, out=np.zeros_like(one), where=some), spread, out=slope, where=tells)
    mean = np.divide(sy - np.nan_to_num(slope) * sx, one, out=np.full(count.shape, np.nan), where=some)
    return (mean, slope, centre), float(y.sum()), int(count.sum())


def _whitened(valid: Booleans, x: Floats, y: Floats, seasons: Seasons, correlation: float) -> list[Floats]:
    """1'V^-1 1, 1'V^-1 x, 1'V^-1 y, x'V^-1 x and x'V^-1 y of each pixel, each [h, w]."""
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2))
    columns = valid.astype(float), x, y
    total = [np.zeros(valid.shape[1:]) for _ in pairs]
    for season in np.unique(seasons):
        of_season = seasons == season
        parts = [column[of_season] for column in columns]
        sums = [part.sum(axis=0) for part in parts]
        together = correlation / (1 + correlation * sums[0])
        for found, (left, right) in zip(total, pairs, strict=True):
            found += np.einsum("tij,tij->ij", parts[left], parts[right]) - together * sums[left] * sums[right]
    return total
