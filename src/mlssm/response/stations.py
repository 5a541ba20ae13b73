"""Whose rain drives, where the driver is fixed: interpolated between all stations, or that of one of them.

Stations differ in how well they measure, and interpolation mixes a good gauge with a bad one. Held-out training seasons
tell which serves the extents best: one choice for all of them, of a few.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from mlssm.response.base import Booleans, Seasons
from mlssm.response.fitted import Settings
from mlssm.response.folds import Retrieve, season_folds
from mlssm.response.own_share import least_errors
from mlssm.response.rows import Maps

log = logging.getLogger(__name__)
MOST_STATIONS = 8  # that are tried one by one


def choose_station(
    retrievals: Sequence[Retrieve],
    drivers_of: Callable[[str | None], Sequence[Maps]],
    stations: Sequence[str],
    training: Booleans,
    seasons: Seasons,
) -> str | None:
    """The station whose rain forecasts held-out training seasons best; None where it is the interpolated.

    Args:
        retrievals: Of each extent.
        drivers_of: Each extent's driver [T, h, w] or broadcastable to it, of a station's rain, or of the interpolated.
        stations: That may be chosen, the nearest first; no more than `MOST_STATIONS` are tried.
        training: Which times are training dates [T].
        seasons: Of each time [T].

    Raises:
        DataError: Fewer than two training seasons have labels.
        SplitError: The training dates are of fewer than two seasons.
    """
    if len(stations) < 2:
        return None
    tried = (None, *stations[:MOST_STATIONS])
    by_station = [drivers_of(station) for station in tried]
    drivers = [[of_station[number] for of_station in by_station] for number in range(len(retrievals))]
    folds = season_folds(training, seasons)
    errors = dict(zip(tried, least_errors(folds, retrievals, drivers, seasons, Settings()), strict=True))
    best = min(errors, key=lambda station: errors[station])
    text = "held-out training seasons chose the rain %s: mean squared error %.4f (interpolated %.4f)"
    log.info(text, f"of station {best}" if best else "interpolated between stations", errors[best], errors[None])
    return best
