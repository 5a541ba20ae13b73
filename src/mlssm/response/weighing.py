"""How a bank of drivers is weighed: by how well each forecasts training seasons that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.response.bank import Bank, Driven, DriverMaps, weighs_bank
from mlssm.response.base import SEASON_CORRELATION, Booleans, Fitting, Population, Seasons, Total
from mlssm.response.folds import Fold, Retrieve, Retrieved, season_folds
from mlssm.response.rows import EVERY, Maps, OfTimes, Spread, few_rows, fill, known_mean, over_rows, rows_of, run_rows
from mlssm.scratch import scratch

EVIDENCE_DATES = 60  # that weights are the evidence of
OWN_SHARE = 0.5  # of a pixel's own log e
SLOPE_SHARE = 0.85  # of a pixel's own slope, while drivers are compared
LEAST_ERROR, LEAST_WEIGHT, LEAST_DEVIATION = 1e-9, 1e-3, 1e-9
TOGETHER = 8  # drivers that are fitted at once: labels are made once for them, and their fits are on the disk


@dataclass(frozen=True)
class SquaredErrors:
    """Squared errors of every driver on held-out dates; sums of parts add up.

    Attributes:
        total: Sum over the dates [driver, h, w].
        count: Number of dates with a label [h, w].
    """

    total: Floats
    count: Floats

    @classmethod
    def summed(cls, parts: Sequence[SquaredErrors]) -> SquaredErrors:
        """Of all parts; at least one."""
        total, count = (scratch(each.shape, np.float64) for each in (parts[0].total, parts[0].count))
        for rows in few_rows(count.shape, len(total)):
            for part in parts:
                total[:, rows] += part.total[:, rows]
                count[rows] += part.count[rows]
        return cls(total, count)

    def part(self, rows: slice) -> SquaredErrors:
        """Those of some rows."""
        return SquaredErrors(self.total[:, rows], self.count[rows])


def bank_weights(errors: SquaredErrors) -> Floats:
    """Weights of the drivers at each pixel, which sum to 1 [driver, h, w].

    A pixel without labels gets its extent's weights, an extent without labels equal ones.

    Args:
        errors: Of held-out seasons.
    """
    found: Floats = scratch(errors.total.shape, np.float64)
    parts = few_rows(errors.count.shape, len(found))
    extent = _extent_evidence(errors, parts)
    fill(found, lambda rows: _weights(errors.part(rows), extent), parts)
    return found


def _extent_evidence(errors: SquaredErrors, parts: Sequence[slice]) -> Floats | None:
    """Mean log e of the pixels with labels [driver]; None where none has one."""
    total, count = np.zeros(len(errors.total)), 0
    for rows in parts:
        of_rows = errors.part(rows)
        known = of_rows.count > 0
        count += int(known.sum())
        total += _log(of_rows)[:, known].sum(axis=1)
    return total / count if count else None


def _log(errors: SquaredErrors) -> Floats:
    """Log e [driver, h, w]; what it is where no label is known means nothing."""
    return np.log(np.maximum(errors.total / np.where(errors.count > 0, errors.count, 1), LEAST_ERROR))


def _weights(errors: SquaredErrors, extent: Floats | None) -> Floats:
    if extent is None:
        return np.full(errors.total.shape, 1 / len(errors.total))
    mean, known = extent[:, None, None], errors.count > 0
    evidence = -EVIDENCE_DATES / 2 * (mean + OWN_SHARE * np.where(known, _log(errors) - mean, 0.0))
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
        held = [HeldFold.of(fold, retrieve(fold.training), seasons, len(maps)) for fold in folds]
        made = [make() for make in maps.values()]
        moments: list[Spread] = []
        for first in range(0, len(made), TOGETHER):
            moments += _weigh(made[first : first + TOGETHER], held, training, first)
        errors = {each.fold.season: SquaredErrors(each.total, each.count) for each in held}
        centre, scale = (
            np.array(each) for each in zip(*((part.mean, part.deviation) for part in moments), strict=True)
        )
        return cls(tuple(maps), centre, np.where(scale > LEAST_DEVIATION, scale, 1.0), errors)

    def bank(self, without: int | None = None) -> Bank:
        """The weights by the errors of all training seasons, or of all but one."""
        weights = bank_weights(
            SquaredErrors.summed([each for season, each in self.errors.items() if season != without])
        )
        chosen = np.flatnonzero(np.array([known_mean(each) for each in weights]) >= LEAST_WEIGHT)
        share: Floats = scratch((len(chosen), *weights.shape[1:]), np.float64)
        for rows in few_rows(share.shape[1:], len(weights)):
            part = weights[chosen, rows]
            share[:, rows] = part / part.sum(axis=0)
        return Bank(tuple(self.names[each] for each in chosen), self.centre[chosen], self.scale[chosen], share)


@dataclass(frozen=True)
class HeldFold:
    """A season that is held out, and the errors of every driver on it.

    Attributes:
        fold: The season.
        found: Labels by references of the others.
        seasons: Of the others' dates.
        total: Squared errors [driver, h, w].
        count: Number of labels [h, w].
    """

    fold: Fold
    found: Retrieved
    seasons: Seasons
    total: Floats
    count: Floats

    @classmethod
    def of(cls, fold: Fold, found: Retrieved, seasons: Seasons, drivers: int) -> HeldFold:
        """Before any driver is fitted."""
        total: Floats = scratch((drivers, *found.shape), np.float64)
        count: Floats = scratch(found.shape, np.float64)
        parts = few_rows(found.shape, int(fold.held.sum()))
        fill(count, lambda rows: np.isfinite(found.of(fold.held, rows)).sum(axis=0), parts)
        return cls(fold, found, seasons[fold.training], total, count)

    def fitting(self, drivers: int) -> list[Fitting]:
        """Fits of some drivers, to be made."""
        return [
            Fitting(each, self.seasons, SEASON_CORRELATION)
            for each in scratch((drivers, 3, *self.found.shape), np.float64)
        ]


def _weigh(drivers: Sequence[Maps], held: Sequence[HeldFold], training: Booleans, first: int) -> list[Spread]:
    """Fit drivers, sum up their errors on every season from position `first` on, and tell how they vary."""
    shape, fitting = held[0].found.shape, [each.fitting(len(drivers)) for each in held]
    moments = [Spread() for _ in drivers]
    parts = few_rows(shape, int(training.sum()))

    def fit(rows: slice) -> list[tuple[Spread, list[Total]]]:
        labels, found = [each.found.labels(each.fold.training, rows) for each in held], []
        for number, driver in enumerate(drivers):
            values = rows_of(driver, training, rows)
            folds = zip(held, fitting, labels, strict=True)
            totals = [own[number].fit(rows, known, values[each.fold.training[training]]) for each, own, known in folds]
            found.append((Spread.of_values(values), totals))
        return found

    for of_rows in over_rows(fit, parts):
        for number, (spread, totals) in enumerate(of_rows):
            moments[number] += spread
            for own, total in zip(fitting, totals, strict=True):
                own[number].add(total)
    fits = [[each.fits for each in own] for own in fitting]
    populations = [[Population.of([fit]) for fit in of_fold] for of_fold in fits]

    def score(rows: slice) -> None:
        labels = [each.found.labels(each.fold.held, rows) for each in held]
        for number, driver in enumerate(drivers):
            values = rows_of(driver, training, rows)
            for each, of_fold, whole, known in zip(held, fits, populations, labels, strict=True):
                response = of_fold[number].pooled_rows(SLOPE_SHARE, whole[number], rows)
                error = known - response.ssm(values[each.fold.held[training]])
                np.nansum(np.square(error, out=error), axis=0, out=each.total[first + number, rows])

    run_rows(score, parts)
    return moments


def drive(
    retrieve: Retrieve, fixed: Maps, maps: Mapping[str, DriverMaps], training: Booleans, seasons: Seasons
) -> Driven:
    """An extent's driver by the rule: the fixed one with few training dates, the weighed bank with many.

    Args:
        retrieve: The extent's labels as a function of the training dates.
        fixed: The driver that few dates are given, at all times.
        maps: The bank, by name.
        training: Which times are training dates [T].
        seasons: Of each time [T].

    Raises:
        SplitError: The bank is weighed, and the training dates are of fewer than two seasons.
    """
    if not weighs_bank(int(training.sum())):
        return Driven(fixed)
    weighing = Weighing.of(retrieve, maps, training, seasons)
    banks, times = {season: weighing.bank(season) for season in weighing.errors}, np.flatnonzero(training)
    bank = weighing.bank()
    whole, *others = _driven([bank, *banks.values()], maps, len(training), times)
    without = {season: OfTimes(each, times) for season, each in zip(banks, others, strict=True)}
    return Driven(whole, without, bank)


def _driven(
    banks: Sequence[Bank], maps: Mapping[str, DriverMaps], count: int, training: npt.NDArray[np.int64]
) -> list[Floats]:
    """The drivers of banks: of the first at all times [T, h, w], of the others at training dates; each is made once."""
    shape = banks[0].weights.shape[1:]
    found = [scratch((count if bank is banks[0] else len(training), *shape), np.float64) for bank in banks]
    made = {name: maps[name]() for name in dict.fromkeys(name for bank in banks for name in bank.names)}

    def add(rows: slice) -> None:
        for name, driver in made.items():
            values = rows_of(driver, EVERY, rows)
            for each, bank in zip(found, banks, strict=True):
                if name in bank.names:
                    each[:, rows] += bank.weighted(name, values if bank is banks[0] else values[training], rows)

    run_rows(add, few_rows(shape, count))
    return found
