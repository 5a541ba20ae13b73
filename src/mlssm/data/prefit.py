"""The closed-form response, fitted before a network is trained, as maps that the network is fed with.

Of a training date the maps are made without the labels of its season (see `mlssm.response.closed_form`), as the maps of
any later day are made without that day's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.data.moment import PrefitMaps
from mlssm.grid import Floats
from mlssm.response.backscatter import backscatter_response
from mlssm.response.base import Booleans, Seasons
from mlssm.response.closed_form import ClosedForm
from mlssm.response.extents import Backscatter, Drivers, closed_form_extents
from mlssm.response.fitted import Dates, Settings
from mlssm.response.forecaster import Forecaster
from mlssm.response.memory import MEMORY
from mlssm.response.nowcast import Carried
from mlssm.scratch import in_scratch, scratch

Array = npt.NDArray[np.float32]
BASE, FORECAST, RETRIEVED, LEVERAGE = "base", "forecast", "retrieved", "leverage"
PREVIOUS = ("previous_residual", "previous_mean", "previous_age")


@dataclass(frozen=True)
class Prefit:
    """The response, fitted on the training dates.

    Attributes:
        forecaster: For other days and extents.
        maps: Of each time, its maps by extent and name.
        targets: Of each training time, labels by extent [h, w], by references that are fitted without its season.
        nowcast: Whether the maps know earlier images.
        without_previous: Share of the pixels and dates without an earlier image, 0..1.
    """

    forecaster: Forecaster
    maps: Mapping[int, tuple[PrefitMaps, ...]]
    targets: Mapping[int, tuple[Array, ...]]
    nowcast: bool
    without_previous: float


@dataclass(frozen=True)
class Told:
    """What the fit is told of the times.

    Attributes:
        training: Which are training dates [T].
        seasons: Of each [T].
        ends: Last day of the antecedent window of each [T].
        start_month: That seasons begin with.
        nowcast: Whether the maps know earlier images of the same season.
    """

    training: Booleans
    seasons: Seasons
    ends: npt.NDArray[np.datetime64]
    start_month: int
    nowcast: bool


def fit_prefit(source: Backscatter, drivers: Drivers, told: Told) -> Prefit:
    """Fit the closed form, and make the maps of all times.

    Args:
        source: Labels of the extent, as a function of the training dates.
        drivers: What drives it.
        told: Of the times.

    Raises:
        DataError: Fewer than two training seasons have labels.
        SplitError: The training dates are of fewer than two seasons.
    """
    cube, working, seasons, nowcast = source.cube, source.stack.working, told.seasons, told.nowcast
    extents = closed_form_extents(source, drivers, told.training, seasons, ends=told.ends)
    form = ClosedForm.fit(extents, Dates(cube.local_days, seasons), told.training, Settings())
    made = [_ExtentMaps.of(form, extent, nowcast=nowcast) for extent in range(len(extents))]
    times = range(len(cube.times))
    targets = {int(time): tuple(each.labels[time] for each in made) for time in np.flatnonzero(told.training)}
    maps = {time: tuple(each.at(time, int(seasons[time])) for each in made) for time in times}
    forecaster = Forecaster.of(form, working.grid, working.extents, told.start_month)
    return Prefit(forecaster, maps, targets, nowcast, float(np.mean([each.without_previous for each in made])))


@dataclass(frozen=True)
class _ExtentMaps:
    """An extent's maps at all times."""

    forecasts: Array
    labels: Array
    memory: Callable[[int], PrefitMaps]
    retrieved: Array
    leverage: Array
    nowcast: Mapping[str, Array]
    without_previous: float

    @classmethod
    def of(cls, form: ClosedForm, extent: int, *, nowcast: bool) -> _ExtentMaps:
        forecasts, memory = form.forecasts(extent), form.memory(extent)
        whole = memory_maps(memory.whole)
        named = {season: memory_maps(maps) for season, maps in memory.by_season.items()}
        labels = _as_float32(form.labels(extent))
        fitted = form.fitted[extent]
        peer = backscatter_response(fitted, form.inner.own_share.value, form.dates.seasons)
        plain, retrieved = _as_float32(forecasts), scratch(forecasts.shape, np.float32)
        for time, driver in enumerate(fitted.driver):
            retrieved[time] = peer.ssm(driver)
        leverage = np.broadcast_to(form.leverages(extent).astype(np.float32), plain.shape)
        carried, without = _nowcasts(form, extent, forecasts) if nowcast else ({}, 1.0)
        return cls(plain, labels, lambda season: named.get(season, whole), retrieved, leverage, carried, without)

    def at(self, time: int, season: int) -> PrefitMaps:
        plain = prefit_maps(self.forecasts[time], self.memory(season), None, 0.0)
        now = {name: maps[time] for name, maps in self.nowcast.items()}
        return {**plain, **now, RETRIEVED: self.retrieved[time], LEVERAGE: self.leverage[time]}


def _as_float32(maps: Floats) -> Array:
    found: Array = scratch(maps.shape, np.float32)
    for kept, each in zip(found, maps, strict=True):
        kept[...] = each
    return found


def _nowcasts(form: ClosedForm, extent: int, forecasts: Floats) -> tuple[dict[str, Array], float]:
    """Maps of all times that know earlier images, by name; share of pixels and dates without one."""
    earlier, known = form.earlier(extent, forecasts), []
    found = {name: scratch(forecasts.shape, np.float32) for name in (BASE, *PREVIOUS)}
    for time, moment in enumerate(earlier.moments):
        carried = earlier.carry(moment)
        maps = prefit_maps(forecasts[time], {}, carried, form.inner.phi)
        for name, kept in found.items():
            kept[time] = maps[name]
        known.append(carried.known)
    return found, 1 - float(np.mean(known))


def memory_maps(memory: Floats) -> PrefitMaps:
    """Maps by name of a pixel memory [channel, h, w]."""
    return dict(zip(MEMORY, in_scratch(memory.astype(np.float32)), strict=True))


def prefit_maps(forecast: Floats | Array, memory: PrefitMaps, carried: Carried | None, phi: float) -> PrefitMaps:
    """A day's maps by name, float32 [h, w]; the base is the forecast, or with earlier images the nowcast.

    Args:
        forecast: 0..1 [h, w].
        memory: Maps of the pixel memory.
        carried: What earlier images say; None where they are not asked.
        phi: Share of what they left that lasts.
    """
    plain = np.asarray(forecast, np.float32)
    if carried is None:
        return {BASE: plain, FORECAST: plain, **memory}
    now = np.clip(plain + np.float32(phi) * carried.mean.astype(np.float32), 0, 1)
    known = np.isfinite(carried.age)
    earlier = (np.where(known, part, np.nan).astype(np.float32) for part in (carried.last, carried.mean, carried.age))
    return {BASE: now, FORECAST: plain, **memory, **dict(zip(PREVIOUS, earlier, strict=True))}


def wanted_maps(*, response: bool, nowcast: bool) -> tuple[str, ...]:
    """Names of the maps that are channels of a network.

    Args:
        response: Whether its family needs the response.
        nowcast: Whether it sees earlier images.
    """
    return ((BASE, *MEMORY) if response else ()) + (PREVIOUS if nowcast else ())
