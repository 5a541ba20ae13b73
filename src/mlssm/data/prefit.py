"""The closed-form response, fitted before a network is trained, as maps that the network is fed with.

Of a training date the maps are made without the labels of its season (see `mlssm.response.closed_form`), as the maps of
any later day are made without that day's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.data.moment import PrefitMaps
from mlssm.grid import Floats
from mlssm.response.backscatter import backscatter_response
from mlssm.response.base import Booleans, Seasons
from mlssm.response.closed_form import ClosedForm
from mlssm.response.driver_maps import Drivers
from mlssm.response.extents import Backscatter, closed_form_extents
from mlssm.response.fitted import Dates, Settings
from mlssm.response.forecaster import Forecaster
from mlssm.response.memory import MEMORY
from mlssm.response.nowcast import Carried
from mlssm.response.rows import EVERY, MadeOfRows, few_rows, fill, rows_of
from mlssm.scratch import scratch

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
    made = [_ExtentMaps.of(form, extent, told.training, nowcast=nowcast) for extent in range(len(extents))]
    times, trained = range(len(cube.times)), np.flatnonzero(told.training).tolist()
    targets = {time: tuple(each.labels[number] for each in made) for number, time in enumerate(trained)}
    maps = {time: tuple(each.at(time, int(seasons[time])) for each in made) for time in times}
    forecaster = Forecaster.of(form, working.grid, working.extents, told.start_month)
    return Prefit(forecaster, maps, targets, nowcast, float(np.mean([each.without_previous for each in made])))


@dataclass(frozen=True)
class _ExtentMaps:
    """An extent's maps.

    Attributes:
        dated: By name, at all times [T, h, w].
        memory: By season, those of the pixel memory; of other seasons under None.
        labels: Of training times, in their order [time, h, w].
        without_previous: Share of the pixels and dates without an earlier image.
    """

    dated: Mapping[str, Array]
    memory: Mapping[int | None, PrefitMaps]
    labels: Array
    without_previous: float

    @classmethod
    def of(cls, form: ClosedForm, extent: int, training: Booleans, *, nowcast: bool) -> _ExtentMaps:
        memory = form.memory(extent)
        named: dict[int | None, PrefitMaps] = {None: memory_maps(memory.whole)}
        named.update({season: memory_maps(maps) for season, maps in memory.by_season.items()})
        dated, without = _dated(form, extent, nowcast=nowcast)
        labels = _labels(form, extent, np.flatnonzero(training))
        return cls(dated, named, labels, without)

    def at(self, time: int, season: int) -> PrefitMaps:
        own = {name: maps[time] for name, maps in self.dated.items()}
        # without earlier images the nowcast is the forecast
        return {BASE: own[FORECAST], **own, **self.memory[season if season in self.memory else None]}


def _labels(form: ClosedForm, extent: int, times: npt.NDArray[np.int64]) -> Array:
    maps, shape = form.label_maps(extent), form.fitted[extent].shape
    found: Array = scratch((len(times), *shape), np.float32)
    fill(found, lambda rows: maps.rows(times, rows), few_rows(shape, len(times)))
    return found


def _dated(form: ClosedForm, extent: int, *, nowcast: bool) -> tuple[dict[str, Array], float]:
    """Maps at all times by name, made band by band; share of pixels and dates without an earlier image."""
    fitted, count = form.fitted[extent], len(form.dates.days)
    peer = backscatter_response(fitted, form.inner.own_share.value, form.dates.seasons)
    leverage, forecasts = form.leverage_maps(extent), form.forecast_maps(extent)
    names = (FORECAST, RETRIEVED, *((BASE, *PREVIOUS) if nowcast else ()))
    found = {name: scratch((count, *fitted.shape), np.float32) for name in names}
    found[LEVERAGE] = _leverages(leverage, count, fitted.shape)
    parts = few_rows(fitted.shape, count)
    fill(found[RETRIEVED], lambda rows: peer.rows(rows).ssm(rows_of(fitted.driver, EVERY, rows)), parts)
    if not nowcast:
        fill(found[FORECAST], lambda rows: forecasts.rows(EVERY, rows), parts)
    return found, _add_nowcasts(form, extent, forecasts, found) if nowcast else 1.0


def _leverages(maps: MadeOfRows, count: int, shape: tuple[int, int]) -> Array:
    """At all times [T, h, w]; kept once where all pixels have one value."""
    parts = few_rows(shape, count)
    first = maps.rows(EVERY, parts[0])
    if first.shape[1:] == (1, 1):
        return np.broadcast_to(first.astype(np.float32), (count, *shape))
    found: Array = scratch((count, *shape), np.float32)
    fill(found, lambda rows: maps.rows(EVERY, rows), parts)
    return found


def _add_nowcasts(form: ClosedForm, extent: int, forecasts: MadeOfRows, found: Mapping[str, Array]) -> float:
    """Put in the maps that know earlier images; share of pixels and dates without one."""
    known = 0
    for rows, of_rows, earlier in form.earlier(extent, forecasts):
        for time, moment in enumerate(earlier.moments):
            carried = earlier.carry(moment)
            for name, values in prefit_maps(of_rows[time], {}, carried, form.inner.phi).items():
                found[name][time, rows] = values
            known += int(np.isfinite(carried.age).sum())
    return 1 - known / found[FORECAST].size


def memory_maps(memory: Floats) -> PrefitMaps:
    """Maps by name of a pixel memory [channel, h, w]."""
    kept: Array = scratch(memory.shape, np.float32)
    for target, channel in zip(kept, memory, strict=True):
        target[...] = channel
    return dict(zip(MEMORY, kept, strict=True))


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
