"""Held-out training seasons choose: share of a pixel's own slope, penalty of the correction, phi of the nowcast."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mlssm.errors import DataError
from mlssm.grid import Floats
from mlssm.response.bank import Driven
from mlssm.response.base import SEASON_CORRELATION, Booleans, PixelFits, Population, Response, Seasons, fit_pixels
from mlssm.response.correction import PENALTIES, Moments, corrected, ridge
from mlssm.response.folds import Fold, Retrieve, Retrieved, season_folds
from mlssm.response.nowcast import Earlier, Moment, Persistence
from mlssm.response.traits import Traits
from mlssm.weather.stations import Days

log = logging.getLogger(__name__)

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
        driver: Without the errors of what is held out [T, h, w], or broadcastable to it.
    """

    extent: Extent
    found: Retrieved
    fits: PixelFits
    training: Booleans
    driver: Floats

    @classmethod
    def of(cls, extent: Extent, training: Booleans, held: int | None, seasons: Seasons, correlation: float) -> Fitted:
        """Retrieve and fit; `held` is the training season that is held out, if one is."""
        found, driver = extent.retrieve(training), extent.driven.of(held)
        fits = fit_pixels(found.ssm[training], driver[training], seasons[training], correlation)
        return cls(extent, found, fits, training, driver)

    @property
    def scale(self) -> float:
        """Standard deviation of the driver over the dates, in which wetness is compared; 1 where it does not vary."""
        return float(self.driver[self.training].std()) or 1.0


def responses(fitted: Sequence[Fitted], own_share: float) -> list[Response]:
    """Pooled responses of all extents."""
    population = Population.of([each.fits for each in fitted])
    return [each.fits.pooled(own_share, population) for each in fitted]


@dataclass(frozen=True)
class Choice:
    """What a setting scores on held-out seasons.

    Attributes:
        value: Chosen.
        errors: Mean squared error of every candidate.
    """

    value: float
    errors: dict[float, float]

    @classmethod
    def least(cls, errors: dict[float, float]) -> Choice:
        """The candidate with the least error; the first of those alike."""
        return cls(min(errors, key=lambda value: errors[value]), errors)


@dataclass
class _Squares:
    """Mean squared error of candidates, summed date by date."""

    total: dict[float, float] = field(default_factory=dict)
    count: dict[float, int] = field(default_factory=dict)

    def add(self, value: float, error: Floats) -> None:
        known = error[np.isfinite(error)]
        self.total[value] = self.total.get(value, 0.0) + float(known @ known)
        self.count[value] = self.count.get(value, 0) + known.size

    def chosen(self) -> Choice:
        if not any(self.count.values()):
            raise DataError(
                "fewer than two training seasons have labels, and choices by held-out seasons need two: see what masks "
                "pixels (retrieval.min_sensitivity_db, water_below_db, frozen_below_c), or hold out fewer seasons"
            )
        return Choice.least({value: self.total[value] / self.count[value] for value in self.total})


@dataclass(frozen=True)
class Held:
    """One held-out season of one extent, forecast from the other training seasons.

    Attributes:
        times: Its dates.
        labels: By references of the other seasons [date, h, w].
        base: Forecast [date, h, w].
        response: Of the other seasons.
        traits: Of the other seasons; None without a correction.
        fitted: The extent, fitted on the other seasons.
    """

    times: Seasons
    labels: Floats
    base: Floats
    response: Response
    traits: Traits | None
    fitted: Fitted

    @classmethod
    def of(cls, fold: Fold, fitted: Fitted, response: Response, traits: Traits | None) -> Held:
        """Forecast the held-out season."""
        labels = fitted.found.ssm[fold.held]
        base = np.broadcast_to(response.ssm(fitted.driver[fold.held]), labels.shape)
        return cls(np.flatnonzero(fold.held), labels, base, response, traits, fitted)

    def _features(self) -> Iterator[Floats]:
        """The correction's features, date by date [feature, h, w]: they are too many to keep."""
        if self.traits is not None:
            yield from (self.traits.features(driver) for driver in self.fitted.driver[self.times])

    @cached_property
    def moments(self) -> Moments:
        """Of the correction's regression."""
        residual = self.labels - self.base
        return Moments.total([Moments.of(*pair) for pair in zip(self._features(), residual, strict=True)])

    def forecast(self, weights: Floats) -> Floats:
        """Base and correction [date, h, w]; without weights the base."""
        if self.traits is None:
            return self.base
        pairs = zip(self.base, self._features(), strict=True)
        return np.stack([corrected(base, features, weights) for base, features in pairs])


@dataclass(frozen=True)
class Inner:
    """What held-out training seasons choose and show.

    Attributes:
        own_share: Of a pixel's slope.
        penalty: Of the correction; None without one.
        weights: Of the correction's features, fitted on all held-out seasons [K]; empty without one.
        phi: Of the nowcast.
        held: By season, each extent.
        forecasts: By season, each extent's forecast [date, h, w], by correction weights of the other seasons.
    """

    own_share: Choice
    penalty: Choice | None
    weights: Floats
    phi: float
    held: dict[int, list[Held]]
    forecasts: dict[int, list[Floats]]


def choose(extents: Sequence[Extent], dates: Dates, training: Booleans, settings: Settings) -> Inner:
    """Hold out each training season in turn, with references, means and slopes fitted without it.

    Raises:
        DataError: Fewer than two training seasons have labels.
        SplitError: The training dates are of fewer than two seasons.
    """
    folds = season_folds(training, dates.seasons)
    fitted = _fit_folds(folds, extents, dates.seasons, settings)
    share = _own_share(folds, fitted, settings.own_shares)
    held = {fold.season: _hold(fold, fitted[fold.season], dates, share.value, settings) for fold in folds}
    if settings.penalties and sum(any(extent.moments.count for extent in extents) for extents in held.values()) < 2:
        log.warning("one training season alone has labels when it is held out: no correction is learnt beside the base")
        settings = replace(settings, penalties=())
        held = {season: [replace(each, traits=None) for each in extents] for season, extents in held.items()}
    penalty = _penalty(held, settings.penalties) if settings.penalties else None
    forecasts = {season: _forecasts(held, season, penalty) for season in held}
    weights = ridge(_moments(held, None), penalty.value) if penalty else np.empty(0)
    return Inner(share, penalty, weights, _persistence(held, forecasts, dates, settings.alike).phi, held, forecasts)


def choose_own_share(extents: Sequence[Extent], seasons: Seasons, training: Booleans, settings: Settings) -> Choice:
    """The share of a pixel's own slope alone, by training seasons held out in turn.

    Raises:
        DataError: Fewer than two training seasons have labels.
        SplitError: The training dates are of fewer than two seasons.
    """
    folds = season_folds(training, seasons)
    return _own_share(folds, _fit_folds(folds, extents, seasons, settings), settings.own_shares)


def _fit_folds(
    folds: Sequence[Fold], extents: Sequence[Extent], seasons: Seasons, settings: Settings
) -> dict[int, list[Fitted]]:
    common = seasons, settings.correlation
    return {
        fold.season: [Fitted.of(extent, fold.training, fold.season, *common) for extent in extents] for fold in folds
    }


def _own_share(folds: Sequence[Fold], fitted: dict[int, list[Fitted]], candidates: Sequence[float]) -> Choice:
    squares = _Squares()
    for fold in folds:
        for share in candidates:
            for each, response in zip(fitted[fold.season], responses(fitted[fold.season], share), strict=True):
                squares.add(share, each.found.ssm[fold.held] - response.ssm(each.driver[fold.held]))
    return squares.chosen()


def _hold(fold: Fold, fitted: list[Fitted], dates: Dates, own_share: float, settings: Settings) -> list[Held]:
    held = []
    for each, response in zip(fitted, responses(fitted, own_share), strict=True):
        traits = traits_of(each, response, dates.seasons) if settings.penalties else None
        held.append(Held.of(fold, each, response, traits))
    return held


def traits_of(fitted: Fitted, response: Response, seasons: Seasons) -> Traits:
    """Traits from the dates that an extent is fitted on."""
    return Traits.of(fitted.found, response, fitted.driver, fitted.training, seasons, fitted.extent.pixel_m)


def _moments(held: dict[int, list[Held]], without: int | None) -> Moments:
    return Moments.total(
        [extent.moments for season, extents in held.items() if season != without for extent in extents]
    )


def _penalty(held: dict[int, list[Held]], candidates: Sequence[float]) -> Choice:
    """By the error of each season under weights of the others, before it is clipped to 0..1."""
    parts = {season: Moments.total([extent.moments for extent in extents]) for season, extents in held.items()}
    count = sum(part.count for part in parts.values())
    errors = {}
    for penalty in candidates:
        weights = {season: ridge(_moments(held, season), penalty) for season in held}
        errors[penalty] = sum(parts[season].squared_error(weights[season]) for season in held) / count
    return Choice.least(errors)


def _forecasts(held: dict[int, list[Held]], season: int, penalty: Choice | None) -> list[Floats]:
    weights = ridge(_moments(held, season), penalty.value) if penalty else np.empty(0)
    return [extent.forecast(weights) for extent in held[season]]


def _persistence(
    held: dict[int, list[Held]], forecasts: dict[int, list[Floats]], dates: Dates, alike: float
) -> Persistence:
    total = Persistence()
    for season, extents in held.items():
        for extent, forecast in zip(extents, forecasts[season], strict=True):
            drivers = extent.fitted.driver[extent.times]
            moments = Moment.all(dates.days[extent.times], dates.seasons[extent.times], drivers)
            earlier = Earlier.of(extent.labels, forecast, moments, alike * extent.fitted.scale)
            for moment, left in zip(moments, extent.labels - forecast, strict=True):
                total += Persistence.of(earlier.carry(moment).mean, left)
    return total
