"""Held-out training seasons choose: share of a pixel's own slope, penalty of the correction, phi of the nowcast."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Booleans, Seasons
from mlssm.response.choice import Choice
from mlssm.response.correction import Moments, ridge
from mlssm.response.fitted import Dates, Extent, Fitted, Settings, responses, traits_of
from mlssm.response.folds import Fold, season_folds
from mlssm.response.held import Held
from mlssm.response.nowcast import Earlier, Moment, Persistence, date_means
from mlssm.response.own_share import choose_own_share
from mlssm.response.rows import few_rows, rows_of

log = logging.getLogger(__name__)


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
    share = choose_own_share(folds, fitted, settings.own_shares)
    held = {fold.season: _hold(fold, fitted[fold.season], dates, share.value, settings) for fold in folds}
    if settings.penalties and sum(any(extent.moments.count for extent in extents) for extents in held.values()) < 2:
        log.warning("one training season alone has labels when it is held out: no correction is learnt beside the base")
        settings = replace(settings, penalties=())
        held = {season: [replace(each, traits=None) for each in extents] for season, extents in held.items()}
    penalty = _penalty(held, settings.penalties) if settings.penalties else None
    forecasts = {season: _forecasts(held, season, penalty) for season in held}
    weights = ridge(_moments(held, None), penalty.value) if penalty else np.empty(0)
    phi = _persistence(held, forecasts, dates, settings.alike).phi
    # the traits have done their work, and take the most room
    held = {season: [replace(each, traits=None) for each in extents] for season, extents in held.items()}
    return Inner(share, penalty, weights, phi, held, forecasts)


def _fit_folds(
    folds: Sequence[Fold], extents: Sequence[Extent], seasons: Seasons, settings: Settings
) -> dict[int, list[Fitted]]:
    common = seasons, settings.correlation
    return {
        fold.season: [Fitted.of(extent, fold.training, fold.season, *common) for extent in extents] for fold in folds
    }


def _hold(fold: Fold, fitted: list[Fitted], dates: Dates, own_share: float, settings: Settings) -> list[Held]:
    held = []
    for each, response in zip(fitted, responses(fitted, own_share), strict=True):
        traits = traits_of(each, response, dates.seasons) if settings.penalties else None
        held.append(Held.of(fold, each, response, traits))
    return held


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
            total += _of_season(extent, forecast, dates, alike)
    return total


def _of_season(held: Held, forecast: Floats, dates: Dates, alike: float) -> Persistence:
    days, seasons = dates.days[held.times], dates.seasons[held.times]
    parts = few_rows(held.fitted.shape, len(held.times))
    left = (held.labels(rows) - forecast[:, rows] for rows in parts)
    means, total = date_means(left, len(held.times)), Persistence()
    for rows in parts:
        moments = Moment.all(days, seasons, rows_of(held.fitted.driver, held.times, rows))
        labels = held.labels(rows)
        earlier = Earlier.of(labels, forecast[:, rows], moments, alike * held.fitted.scale, means)
        for moment, of_date in zip(moments, labels - forecast[:, rows], strict=True):
            total += Persistence.of(earlier.carry(moment).mean, of_date)
    return total
