"""What parts of an extent have to know of the whole: means of the closed form, summed over all parts first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from mlssm.grid import Window
from mlssm.inference.day_maps import (
    DayMaps,
    ExtentMeans,
    ResidualSums,
    Times,
    with_features,
    with_residuals,
)
from mlssm.inference.mapper import Days, window_end
from mlssm.inference.opened import Opened, Place
from mlssm.response.traits import FeatureSums
from mlssm.scratch import Trimmed
from mlssm.workers import Workers

Found = TypeVar("Found")


@dataclass(frozen=True)
class ExtentPart:
    """A window of an extent, counted from its corner."""

    extent: int
    window: Window


def extent_means(place: Place, parts: Sequence[ExtentPart], days: Days, workers: Workers) -> list[ExtentMeans]:
    """The means of each extent.

    Args:
        place: The trained run and the extent.
        parts: That cover all extents side by side.
        days: That are mapped.
        workers: That sum over parts.
    """
    opened = place.opened()
    nothing = [ExtentMeans() for _ in opened.shapes]
    if opened.form is None or not (opened.form.nowcast or _corrects(opened)):
        return nothing
    times = _images(opened, days)
    ends = _ends(opened, days, times)
    means = nothing
    if _corrects(opened):
        sums = workers.run(Trimmed(partial(_feature_sums, place, days, ends)), parts, "closed form")
        means = [with_features(found, ends) for found in _by_extent(opened, parts, sums)]
    if not len(times):
        return means
    left = workers.run(Trimmed(partial(_residual_sums, place, days, means, times)), parts, "earlier images")
    pairs = zip(means, _by_extent(opened, parts, left), strict=True)
    return [with_residuals(mean, found, times) for mean, found in pairs]


def _corrects(opened: Opened) -> bool:
    return opened.form is not None and any(extent.form.traits is not None for extent in opened.form.extents)


def _images(opened: Opened, days: Days) -> Times:
    """Images that the nowcast of some day sees, before the day."""
    form = opened.form
    assert form is not None
    if not form.nowcast:
        return np.zeros(0, np.int64)
    local, seasons = opened.cube.local_days, {form.season(day) for day in days}
    of_season = np.array([form.season(day) in seasons for day in local], bool)
    ends = opened.drivers.forcing.days[-1]
    return np.flatnonzero(of_season & (opened.window_ends <= ends))


def _ends(opened: Opened, days: Days, times: Times) -> list[np.datetime64]:
    """Last days of all windows that are forecast."""
    of_days = np.array([window_end(opened.bundle, day) for day in days], "datetime64[D]")
    return list(np.unique(np.concatenate([of_days, opened.window_ends[times]])))


def _feature_sums(place: Place, days: Days, ends: Sequence[np.datetime64], part: ExtentPart) -> FeatureSums | None:
    maps = _maps(place.opened(), part, days, None)
    return maps.feature_sums(0, ends) if maps.corrects(0) else None


def _residual_sums(
    place: Place, days: Days, means: Sequence[ExtentMeans], times: Times, part: ExtentPart
) -> ResidualSums | None:
    opened = place.opened()
    if opened.form is None or opened.form.retrieval[part.extent] is None:
        return None
    return _maps(opened, part, days, means[part.extent]).residual_sums(0, times)


def _maps(opened: Opened, part: ExtentPart, days: Days, means: ExtentMeans | None) -> DayMaps:
    maps = opened.form_of(part.extent, part.window, days, means)
    assert maps is not None
    return maps


def _by_extent(opened: Opened, parts: Sequence[ExtentPart], found: Sequence[Found | None]) -> list[list[Found]]:
    """What was found of each extent, without what was not."""
    pairs = list(zip(parts, found, strict=True))
    return [
        [each for part, each in pairs if part.extent == extent and each is not None]
        for extent in range(len(opened.shapes))
    ]
