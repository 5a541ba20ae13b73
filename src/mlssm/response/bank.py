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
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.response.rows import WHOLE, Maps

MANY_DATES = 60  # with fewer training dates than these the driver is fixed, not learnt
# a driver at an extent's pixels and all times, made when it is asked for
DriverMaps = Callable[[], Maps]


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

    def driver(self, drivers: Floats, rows: slice = WHOLE) -> Floats:
        """The weighted mean of the standardised drivers of some rows [rows, w].

        Args:
            drivers: Those of `names` [D, rows, w]; they are overwritten.
            rows: Which.
        """
        drivers -= self.centre[:, None, None]
        drivers /= self.scale[:, None, None]
        drivers *= self.weights if self.weights.shape[1:] == (1, 1) else self.weights[:, rows]
        return np.asarray(drivers.sum(axis=0))

    def weighted(self, name: str, driver: npt.NDArray[np.floating], rows: slice = WHOLE) -> Floats:
        """What one of its drivers gives to some rows: its weight times the standardised driver [..., rows, w]."""
        number = self.names.index(name)
        weights = self.weights[number]
        weight = weights if weights.shape == (1, 1) else weights[rows]
        return np.asarray(weight * ((driver - self.centre[number]) / self.scale[number]))


@dataclass(frozen=True)
class Driven:
    """An extent's driver.

    Attributes:
        whole: Weighed on all training seasons, at all times: [T, h, w], [T, 1, 1], or what makes its rows.
        without: Weighed without the errors of a season, by season, on training dates; empty where the driver is fixed.
        bank: The weights on all training seasons, to drive other days; None where the driver is fixed.
        station: Whose rain the fixed driver is made of; None: interpolated between all.
    """

    whole: Maps
    without: Mapping[int, Maps] = field(default_factory=dict)
    bank: Bank | None = None
    station: str | None = None

    def of(self, season: int | None) -> Maps:
        """The driver to use where a season is held out; None: where none is."""
        return self.whole if season is None else self.without.get(season, self.whole)


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
