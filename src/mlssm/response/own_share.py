"""What each share of a pixel's own slope scores on seasons that are held out, for one driver or for several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Booleans, PixelFits, Population, Seasons
from mlssm.response.choice import Choice, Squares
from mlssm.response.fitted import Fitted, Settings, fit_labels
from mlssm.response.folds import Fold, Retrieve, Retrieved
from mlssm.response.rows import Maps, few_rows, over_rows, rows_of

CACHED = 2**15  # values of which a processor's cache holds several arrays


@dataclass(frozen=True)
class Tried:
    """A driver, the fits of an extent's pixels to it, and what its shares score.

    Attributes:
        driver: At all times.
        fits: On the training dates of the fold.
        population: The mean extent of these fits.
        squares: Where the errors are summed.
    """

    driver: Maps
    fits: PixelFits
    population: Population
    squares: Squares


def choose_own_share(folds: Sequence[Fold], fitted: dict[int, list[Fitted]], shares: Sequence[float]) -> Choice:
    """The share that forecasts held-out seasons best; `fitted` has the extents by fold's season.

    Raises:
        DataError: Fewer than two training seasons have labels.
    """
    squares = Squares()
    for fold in folds:
        extents = fitted[fold.season]
        population = Population.of([each.fits for each in extents])
        for each in extents:
            tried = Tried(each.driver, each.fits, population, squares)
            add_held_out(each.found, fold.held, [tried], shares)
    return squares.chosen()


def least_errors(
    folds: Sequence[Fold],
    retrievals: Sequence[Retrieve],
    drivers: Sequence[Sequence[Maps]],
    seasons: Seasons,
    settings: Settings,
) -> list[float]:
    """The mean squared error that the best share of each driver leaves of held-out seasons.

    Args:
        folds: The seasons.
        retrievals: Labels of each extent.
        drivers: Of each extent, those that are tried.
        seasons: Of each time [T].
        settings: rho and the shares.

    Raises:
        DataError: Fewer than two training seasons have labels.
    """
    squares = [Squares() for _ in drivers[0]]
    for fold in folds:
        found = [retrieve(fold.training) for retrieve in retrievals]
        pairs = zip(found, drivers, strict=True)
        fits = [fit_labels(each, own, fold.training, seasons, settings.correlation) for each, own in pairs]
        populations = [Population.of(of_driver) for of_driver in zip(*fits, strict=True)]
        for each, own, own_fits in zip(found, drivers, fits, strict=True):
            tried = [Tried(*parts) for parts in zip(own, own_fits, populations, squares, strict=True)]
            add_held_out(each, fold.held, tried, settings.own_shares)
    return [min(each.chosen().errors.values()) for each in squares]


def add_held_out(found: Retrieved, held: Booleans, tried: Sequence[Tried], shares: Sequence[float]) -> None:
    """Sum up the errors of every share of every driver on an extent's held-out dates; labels are made once.

    Args:
        found: Labels by references of the other seasons.
        held: Which times are held out [T].
        tried: The drivers.
        shares: Candidates for a pixel's share of its own slope.
    """

    def errors(rows: slice) -> list[list[_Errors]]:
        labels = found.labels(held, rows)
        return [_errors(each, labels, rows_of(each.driver, held, rows), rows, shares) for each in tried]

    for of_rows in over_rows(errors, few_rows(found.shape, int(held.sum()))):
        for each, parts in zip(tried, of_rows, strict=True):
            for part in parts:
                each.squares.add(*part)


class _Errors(NamedTuple):
    """The sum of squared errors of a share, on so many labels."""

    share: float
    squares: float
    number: int


def _errors(tried: Tried, labels: Floats, driver: Floats, rows: slice, shares: Sequence[float]) -> list[_Errors]:
    base = tried.fits.pooled_rows(0.0, tried.population, rows)
    away = driver - base.centre  # the same for all shares, as is the mean
    slopes = [(share, tried.fits.pooled_rows(share, tried.population, rows).slope) for share in shares]
    step = max(CACHED // base.mean.size, 1)
    parts = (slice(first, first + step) for first in range(0, len(labels), step))
    return [each for part in parts for each in _of_dates(labels[part], away[part], base.mean, slopes)]


def _of_dates(labels: Floats, away: Floats, mean: Floats, slopes: Sequence[tuple[float, Floats]]) -> Iterator[_Errors]:
    missing = ~(np.isfinite(labels) & np.isfinite(mean) & np.isfinite(away))
    count, error = missing.size - int(missing.sum()), np.empty(labels.shape)
    for share, slope in slopes:
        np.multiply(slope, away, out=error)
        error += mean
        np.clip(error, 0, 1, out=error)
        error -= labels
        np.copyto(error, 0.0, where=missing)
        flat = error.ravel()
        yield _Errors(share, float(flat @ flat), count)
