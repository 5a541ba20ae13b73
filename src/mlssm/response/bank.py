"""A bank of drivers, weighed pixel by pixel by how well each forecasts seasons that it was not fitted on.

With few dates the weights would be noise: the driver is fixed then. Otherwise a pixel's driver is the weighted mean of
the standardised drivers, weighted as by the evidence of Gaussian errors: w proportional to exp(-(T / 2) log e), e the
mean squared error of held-out seasons (Buckland et al. 1997, Biometrics 53, for weights from an information criterion).
log e is half the pixel's own and half its extent's mean, and T the number of dates that the evidence is taken for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlssm.errors import RunError
from mlssm.grid import Floats
from mlssm.response.base import Booleans, Population, Seasons, fit_pixels
from mlssm.response.folds import Retrieve, season_folds

# with fewer training dates than these the driver is fixed, not learnt; and the dates that weights are the evidence of
MANY_DATES, EVIDENCE_DATES = 60, 60
OWN_SHARE = 0.5  # of a pixel's own log e
SLOPE_SHARE = 0.85  # of a pixel's own slope, while drivers are compared
LEAST_ERROR, LEAST_WEIGHT, LEAST_DEVIATION = 1e-9, 1e-3, 1e-9
# a driver at an extent's pixels and all times [T, h, w], made when it is asked for
DriverMaps = Callable[[], Floats]


def weighs_bank(training_dates: int) -> bool:
    """The rule: few dates fix the driver, many weigh a bank."""
    return training_dates >= MANY_DATES


@dataclass(frozen=True)
class Bank:
    """Weighed drivers of one extent.

    Attributes:
        names: Of the drivers that weigh anywhere [D], see `mlssm.response.driver.Driver`.
        centre: Their means over training dates and pixels [D].
        scale: Their standard deviations [D].
        weights: At each pixel, sum 1 [D, h, w].
    """

    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    weights: Floats

    def driver(self, maps: Mapping[str, DriverMaps]) -> Floats:
        """The weighted mean of the standardised drivers [T, h, w]; `maps` are those of the whole bank, by name.

        Raises:
            RunError: A driver is not there.
        """
        if missing := [name for name in self.names if name not in maps]:
            raise RunError(
                f"the response is driven by {', '.join(missing)}, which cannot be made of these stations' record: a "
                "bucket needs evapotranspiration, or the temperatures that it is calculated from"
            )
        parts = zip(self.names, self.centre, self.scale, self.weights, strict=True)
        return np.asarray(sum(weight * ((maps[name]() - centre) / scale) for name, centre, scale, weight in parts))


@dataclass(frozen=True)
class Driven:
    """An extent's driver.

    Attributes:
        whole: Weighed on all training seasons [T, h, w], or broadcastable to it.
        without: Weighed without the errors of a season, by season; empty where the driver is fixed.
        bank: The weights on all training seasons, to drive other days; None where the driver is fixed.
        station: Whose rain the fixed driver is made of; None: interpolated between all.
    """

    whole: Floats
    without: dict[int, Floats] = field(default_factory=dict)
    bank: Bank | None = None
    station: str | None = None

    def of(self, season: int | None) -> Floats:
        """The driver to use where a season is held out; None: where none is."""
        return self.whole if season is None else self.without.get(season, self.whole)


@dataclass(frozen=True)
class SquaredErrors:
    """Squared errors of every driver on held-out dates; sums of parts add up.

    Attributes:
        total: Sum over the dates [driver, h, w].
        count: Number of dates with a label [h, w].
    """

    total: Floats
    count: Floats

    def __add__(self, other: SquaredErrors) -> SquaredErrors:
        """Of both parts."""
        return SquaredErrors(self.total + other.total, self.count + other.count)


def bank_weights(errors: SquaredErrors) -> Floats:
    """Weights of the drivers at each pixel, which sum to 1 [driver, h, w].

    A pixel without labels gets its extent's weights, an extent without labels equal ones.

    Args:
        errors: Of held-out seasons.
    """
    known = errors.count > 0
    if not known.any():
        return np.full(errors.total.shape, 1 / len(errors.total))
    own = np.log(np.maximum(errors.total / np.where(known, errors.count, 1), LEAST_ERROR))
    extent = own[:, known].mean(axis=1)[:, None, None]
    evidence = -EVIDENCE_DATES / 2 * (extent + OWN_SHARE * np.where(known, own - extent, 0.0))
    weights = np.exp(evidence - evidence.max(axis=0))
    return np.asarray(weights / weights.sum(axis=0))


@dataclass(frozen=True)
class Weighing:
    """What an extent's bank is weighed from.

    Attributes:
        names: Of the drivers [D].
        centre: Mean of each over training dates and pixels [D].
        scale: Standard deviation, likewise [D].
        errors: Of each training season, forecast from the others.
    """

    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    errors: dict[int, SquaredErrors]

    @classmethod
    def of(cls, retrieve: Retrieve, maps: Mapping[str, DriverMaps], training: Booleans, seasons: Seasons) -> Weighing:
        """Hold out each training season in turn, with references, means and slopes fitted without it.

        Raises:
            SplitError: The training dates are of fewer than two seasons.
        """
        folds = season_folds(training, seasons)
        found = [retrieve(fold.training) for fold in folds]
        moments, squares = [], [[] for _ in folds]  # type: tuple[list[tuple[float, float]], list[list[Floats]]]
        for make in maps.values():
            driver = make()
            moments.append((float(driver[training].mean()), float(driver[training].std())))
            for fold, retrieved, total in zip(folds, found, squares, strict=True):
                fits = fit_pixels(retrieved.labels(fold.training), driver[fold.training], seasons[fold.training])
                response = fits.pooled(SLOPE_SHARE, Population.of([fits]))
                error = retrieved.labels(fold.held) - response.ssm(driver[fold.held])
                total.append(np.nansum(error**2, axis=0))
        counts = [
            np.isfinite(retrieved.of(fold.held)).sum(axis=0) for fold, retrieved in zip(folds, found, strict=True)
        ]
        parts = zip(folds, squares, counts, strict=True)
        errors = {fold.season: SquaredErrors(np.stack(total), count.astype(float)) for fold, total, count in parts}
        centre, scale = np.array(moments).T
        return cls(tuple(maps), centre, np.where(scale > LEAST_DEVIATION, scale, 1.0), errors)

    def bank(self, without: int | None = None) -> Bank:
        """The weights by the errors of all training seasons, or of all but one."""
        first, *others = (each for season, each in self.errors.items() if season != without)
        weights = bank_weights(sum(others, first))
        kept = np.flatnonzero(weights.mean(axis=(1, 2)) >= LEAST_WEIGHT)
        share = weights[kept] / weights[kept].sum(axis=0)
        return Bank(tuple(self.names[each] for each in kept), self.centre[kept], self.scale[kept], share)


def drive(
    retrieve: Retrieve, fixed: Floats, maps: Mapping[str, DriverMaps], training: Booleans, seasons: Seasons
) -> Driven:
    """An extent's driver by the rule: the fixed one with few training dates, the weighed bank with many.

    Args:
        retrieve: The extent's labels as a function of the training dates.
        fixed: The driver that few dates are given [T, h, w], or broadcastable to it.
        maps: The bank, by name.
        training: Which times are training dates [T].
        seasons: Of each time [T].

    Raises:
        SplitError: The bank is weighed, and the training dates are of fewer than two seasons.
    """
    if not weighs_bank(int(training.sum())):
        return Driven(fixed)
    weighing = Weighing.of(retrieve, maps, training, seasons)
    without = {season: weighing.bank(season).driver(maps) for season in weighing.errors}
    bank = weighing.bank()
    return Driven(bank.driver(maps), without, bank)


def mean_bank(banks: Sequence[Bank]) -> Bank:
    """The bank of the mean pixel of the mean extent, weights [D, 1, 1]: for an extent without labels. At least one."""
    names = sorted({name for bank in banks for name in bank.names})
    rows = np.zeros((len(names), 3))  # weight, and centre and scale times the weight
    for bank in banks:
        share = bank.weights.mean(axis=(1, 2)) / len(banks)
        for name, *row in zip(bank.names, share, share * bank.centre, share * bank.scale, strict=True):
            rows[names.index(name)] += row
    weight, centre, scale = rows.T
    return Bank(tuple(names), centre / weight, scale / weight, weight[:, None, None])
