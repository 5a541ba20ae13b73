"""Base: each pixel's mean and its response to the driver, by generalised least squares, pooled partially.

SSM = clip(m + b (g - c), 0, 1), g the driver, c its mean over the pixel's training dates. Errors of dates of one season
go together: V = I + rho [same season]. The inverse of such a matrix is known (Sherman & Morrison 1950, Ann. Math. Stat.
21), so that sums over seasons are all that the fit needs, whichever dates a pixel lacks:

    u' V^-1 v = sum u v - sum over seasons of rho / (1 + rho n) (sum of u in it) (sum of v in it)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.response.rows import WHOLE, Maps, Times, few_rows, known_mean, over_rows, rows_of
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
        known = [fit for fit in fits if fit.any_known]
        if not known:
            return cls(float("nan"), 0.0, 0.0)
        rows = [(fit.plain, fit.extent_slope, fit.extent_centre) for fit in known]
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
    def any_known(self) -> bool:
        """Whether some pixel has values."""
        return not np.isnan(self.plain)

    @cached_property
    def extent_slope(self) -> float:
        """Mean slope of the pixels that have one; 0 where none has."""
        return float(np.nan_to_num(known_mean(self.slope)))

    @cached_property
    def extent_mean(self) -> float:
        """Mean of the pixels' means."""
        return known_mean(self.mean)

    @cached_property
    def extent_centre(self) -> float:
        """Mean of the pixels' centres."""
        return known_mean(self.centre)

    def pooled(self, own_share: float, population: Population) -> Response:
        """Give each pixel a share of its own slope and the rest of its extent's.

        The mean is the extent's plain one plus how far the pixel's lies off the extent's: season effects, which the
        generalised mean weighs down, are the extent's alike. A pixel without values gets its extent's mean and slope,
        an extent without any the population's.

        Args:
            own_share: 0..1.
            population: The mean extent.
        """
        shape = self.mean.shape
        found = Response(*scratch((3, *shape), np.float64))
        for rows in few_rows(shape, 1):
            part = self.pooled_rows(own_share, population, rows)
            found.mean[rows], found.slope[rows], found.centre[rows] = part.mean, part.slope, part.centre
        return found

    def pooled_rows(self, own_share: float, population: Population, rows: slice) -> Response:
        """The same of some rows."""
        mean, slope, centre = self.mean[rows], self.slope[rows], self.centre[rows]
        if not self.any_known:
            parts = (population.mean, population.slope, population.centre)
            return Response(*(np.full(mean.shape, part) for part in parts))
        known, extent = np.isfinite(mean), self.extent_slope
        pooled = extent + own_share * (np.where(np.isfinite(slope), slope, extent) - extent)
        around = np.where(known, self.plain + mean - self.extent_mean, self.plain)
        return Response(around, pooled, np.where(known, centre, self.extent_centre))


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

    def of_rows(rows: slice) -> Floats:
        return values[:, rows]

    return fit_rows(of_rows, [driver], WHOLE, values.shape[1:], seasons, correlation)[0]


def fit_rows(
    values: Callable[[slice], Floats],
    drivers: Sequence[Maps],
    times: Times,
    shape: tuple[int, ...],
    seasons: Seasons,
    correlation: float = SEASON_CORRELATION,
) -> list[PixelFits]:
    """Fit the same values on several drivers, one after the other; both are made band by band.

    Args:
        values: Of some rows, as of `fit_pixels`, of the times below.
        drivers: At all times.
        times: Those that are fitted on.
        shape: Of the extent [h, w].
        seasons: Of these times.
        correlation: As of `fit_pixels`.
    """
    maps = scratch((len(drivers), 3, *shape), np.float64)
    fitting = [Fitting(each, seasons, correlation) for each in maps]

    def fit_band(rows: slice) -> list[Total]:
        of_rows = values(rows)
        pairs = zip(fitting, drivers, strict=True)
        return [each.fit(rows, of_rows, rows_of(driver, times, rows)) for each, driver in pairs]

    for totals in over_rows(fit_band, few_rows(shape, len(seasons))):
        for each, total in zip(fitting, totals, strict=True):
            each.add(total)
    return [each.fits for each in fitting]


class Total(NamedTuple):
    """Number and sum of the values of some pixels and dates."""

    number: int
    total: float


@dataclass
class Fitting:
    """Fits of an extent's pixels while they are made, band by band.

    Attributes:
        maps: Mean, slope and centre [3, h, w].
        seasons: Of the dates that are fitted on [T].
        correlation: As of `fit_pixels`.
    """

    maps: Floats
    seasons: Seasons
    correlation: float
    _total: float = 0.0
    _number: int = 0

    def fit(self, rows: slice, values: Floats, driver: npt.NDArray[np.floating]) -> Total:
        """Fit the pixels of some rows, which `add` is to be told; both [T, rows, w], the driver broadcastable to it."""
        valid = np.isfinite(values)
        self.maps[:, rows] = _fit(values, valid, driver, self.seasons, self.correlation)
        return Total(int(valid.sum()), float(values.sum(where=valid)))

    def add(self, found: Total) -> None:
        """Count the values of some rows."""
        self._number += found.number
        self._total += found.total

    @property
    def fits(self) -> PixelFits:
        """What was fitted."""
        plain = self._total / self._number if self._number else float("nan")
        mean, slope, centre = self.maps
        return PixelFits(mean, slope, centre, plain)


def _fit(
    values: Floats, valid: Booleans, driver: npt.NDArray[np.floating], seasons: Seasons, correlation: float
) -> tuple[Floats, Floats, Floats]:
    """Mean, slope and centre of some rows' pixels [rows, w]."""
    count = valid.sum(axis=0)
    y = np.where(valid, values, 0.0)
    some = count > 0
    total = np.broadcast_to(driver, values.shape).sum(axis=0, where=valid)
    centre = np.divide(total, count, out=np.full(count.shape, np.nan), where=some)
    x = np.where(valid, driver - np.nan_to_num(centre), 0.0)  # differences keep their digits
    one, sx, sy, sxx, sxy = _whitened(valid, x, y, seasons, correlation)
    spread = sxx - np.divide(sx**2, one, out=np.zeros_like(one), where=some)
    tells = (spread > LEAST_SPREAD) & (count >= LEAST_DATES)
    slope = np.full(count.shape, np.nan)
    np.divide(sxy - sx * np.divide(sy, one, out=np.zeros_like(one), where=some), spread, out=slope, where=tells)
    mean = np.divide(sy - np.nan_to_num(slope) * sx, one, out=np.full(count.shape, np.nan), where=some)
    return mean, slope, centre


def _whitened(valid: Booleans, x: Floats, y: Floats, seasons: Seasons, correlation: float) -> list[Floats]:
    """1'V^-1 1, 1'V^-1 x, 1'V^-1 y, x'V^-1 x and x'V^-1 y of each pixel, each [h, w]; x and y are 0 where not valid."""
    total = [np.zeros(valid.shape[1:]) for _ in range(5)]
    for season in np.unique(seasons):
        of_season = _times(seasons == season)
        known, x_here, y_here = valid[of_season], x[of_season], y[of_season]
        n, sx, sy = known.sum(axis=0).astype(float), x_here.sum(axis=0), y_here.sum(axis=0)
        together = correlation / (1 + correlation * n)
        sums = n, sx, sy, np.einsum("tij,tij->ij", x_here, x_here), np.einsum("tij,tij->ij", x_here, y_here)
        for found, whole, (left, right) in zip(
            total, sums, ((n, n), (n, sx), (n, sy), (sx, sx), (sx, sy)), strict=True
        ):
            found += whole - together * left * right
    return total


def _times(chosen: Booleans) -> slice | Booleans:
    """The same times, as a slice where they follow each other: it copies nothing."""
    first, last = np.flatnonzero(chosen)[[0, -1]].tolist()
    return slice(first, last + 1) if chosen[first : last + 1].all() else chosen
