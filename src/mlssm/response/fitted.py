"""An extent as it is fitted: labels by references of some training dates, and its pixels' own fits to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mlssm.grid import Floats
from mlssm.response.bank import Driven
from mlssm.response.base import SEASON_CORRELATION, Booleans, PixelFits, Population, Response, Seasons, fit_rows
from mlssm.response.correction import PENALTIES
from mlssm.response.folds import Retrieve, Retrieved
from mlssm.response.rows import Maps, Spread
from mlssm.response.traits import Traits
from mlssm.weather.stations import Days

OWN_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)


@dataclass(frozen=True)
class Settings:
    """What may be chosen.

    Attributes:
        correlation: rho of `mlssm.response.base`.
        own_shares: Candidates for a pixel's share of its own slope.
        penalties: Candidates for the correction's penalty; none: no correction.
        alike: Difference of the driver, in its standard deviations, over which the weight of an earlier image falls to
            1/e; infinite: its age alone decides.
    """

    correlation: float = SEASON_CORRELATION
    own_shares: tuple[float, ...] = OWN_SHARES
    penalties: tuple[float, ...] = PENALTIES
    alike: float = 1.0


@dataclass(frozen=True)
class Extent:
    """An extent that is fitted.

    Attributes:
        retrieve: Its labels as a function of the training dates.
        driven: Its driver at each time.
        pixel_m: Pixel size, metres.
    """

    retrieve: Retrieve
    driven: Driven
    pixel_m: float


@dataclass(frozen=True)
class Dates:
    """All times: their local days and seasons, each [T]."""

    days: Days
    seasons: Seasons


@dataclass(frozen=True)
class Fitted:
    """One extent fitted on some training dates.

    Attributes:
        extent: The extent.
        found: Labels by references of these dates.
        fits: Its pixels' own fits.
        training: The dates [T].
        driver: Without the errors of what is held out: at all times, or what makes its rows.
    """

    extent: Extent
    found: Retrieved
    fits: PixelFits
    training: Booleans
    driver: Maps

    @classmethod
    def of(cls, extent: Extent, training: Booleans, held: int | None, seasons: Seasons, correlation: float) -> Fitted:
        """Retrieve and fit; `held` is the training season that is held out, if one is."""
        found, driver = extent.retrieve(training), extent.driven.of(held)
        (fits,) = fit_labels(found, [driver], training, seasons, correlation)
        return cls(extent, found, fits, training, driver)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.found.shape

    @cached_property
    def scale(self) -> float:
        """Standard deviation of the driver over the dates, in which wetness is compared; 1 where it does not vary."""
        return Spread.of(self.driver, self.training, self.shape).deviation or 1.0


def fit_labels(
    found: Retrieved, drivers: Sequence[Maps], training: Booleans, seasons: Seasons, correlation: float
) -> list[PixelFits]:
    """The pixels' own fits to their labels on the training dates, of several drivers; see `fit_rows`."""

    def labels(rows: slice) -> Floats:
        return found.labels(training, rows)

    return fit_rows(labels, drivers, training, found.shape, seasons[training], correlation)


def responses(fitted: Sequence[Fitted], own_share: float) -> list[Response]:
    """Pooled responses of all extents."""
    population = Population.of([each.fits for each in fitted])
    return [each.fits.pooled(own_share, population) for each in fitted]


def traits_of(fitted: Fitted, response: Response, seasons: Seasons) -> Traits:
    """Traits from the dates that an extent is fitted on."""
    return Traits.of(fitted.found, response, fitted.driver, fitted.training, seasons, fitted.extent.pixel_m)
