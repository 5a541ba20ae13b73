"""A made-up extent whose backscatter responds to a known driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mlssm.grid import Floats
from mlssm.response.bank import Driven
from mlssm.response.base import Booleans, Seasons
from mlssm.response.fitted import Dates, Extent
from mlssm.response.folds import Retrieved
from mlssm.retrieval.labels import relative_backscatter
from mlssm.retrieval.references import fit_references


@dataclass(frozen=True)
class MadeUp:
    """Backscatter of some seasons.

    Attributes:
        sigma: dB [T, h, w].
        driver: [T, 1, 1].
        dates: Of each time.
    """

    sigma: Floats
    driver: Floats
    dates: Dates

    @property
    def seasons(self) -> Seasons:
        """Of each time."""
        return self.dates.seasons

    def retrieve(self, training: Booleans) -> Retrieved:
        """Labels by references of the training dates."""
        known = self.sigma[training]
        found = fit_references(known, 5, 95, 2)
        relative = relative_backscatter(self.sigma, found.dry, found.wet)
        return Retrieved(relative, found.sensitivity, found.mean, known.std(axis=0))

    @property
    def extent(self) -> Extent:
        """With the true driver."""
        return Extent(self.retrieve, Driven(self.driver), 150.0)

    def with_sigma(self, times: Booleans, value: float) -> MadeUp:
        """Other backscatter at some times."""
        return replace(self, sigma=np.where(times[:, None, None], value + self.sigma[::-1], self.sigma))


def make_up(dates: int = 6, noise: float = 0.5, seed: int = 0) -> MadeUp:
    """Four seasons of a pixel-wise response, a pixel's own departure in each season, and noise."""
    rng = np.random.default_rng(seed)
    seasons = np.repeat(np.arange(2020, 2024), dates)
    day = np.tile(12 * np.arange(dates), 4)
    days = np.array([np.datetime64(f"{season}-11-01") for season in seasons]) + day
    driver = rng.gamma(1, 1.2, (len(seasons), 1, 1))
    level, slope = rng.normal(-12, 1, (6, 5)), rng.uniform(0.5, 2.5, (6, 5))
    departure = rng.normal(0, 0.8, (4, 6, 5))[seasons - 2020]
    sigma = level + slope * driver + departure + noise * rng.normal(size=(len(seasons), 6, 5))
    return MadeUp(sigma, driver, Dates(days.astype("datetime64[D]"), seasons))


@pytest.fixture(scope="session")
def made_up() -> Callable[..., MadeUp]:
    """Makes up an extent: `dates` a season, `noise` in dB, `seed`."""
    return make_up
