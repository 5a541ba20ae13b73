"""The closed form below a network, on the days and in the extent, or the part of one, that are mapped."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.cube import Cube
from mlssm.data.moment import PrefitMaps
from mlssm.data.prefit import LEVERAGE, memory_maps, prefit_maps
from mlssm.errors import RunError
from mlssm.grid import Floats
from mlssm.patches.dates import seasons
from mlssm.response.driver_maps import Drivers
from mlssm.response.forecaster import ExtentForecaster, Forecaster
from mlssm.response.nowcast import Carried, Earlier, Moment, centred
from mlssm.response.parts import PartForm, cropped
from mlssm.response.traits import FeatureSums
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import Stack
from mlssm.retrieval.working_grid import WorkingGrid

log = logging.getLogger(__name__)
Day = np.datetime64
Times = npt.NDArray[np.int64]
EVERYTHING = slice(None)


@dataclass(frozen=True)
class Images:
    """Images of the area that is mapped.

    Attributes:
        cube: Their days and orbits.
        stack: Their multilooked backscatter.
        masks: Frozen and snowy pixels.
        ends: Last day of the antecedent window of each [time].
    """

    cube: Cube
    stack: Stack
    masks: DateMasks
    ends: npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Part:
    """Pixels of one extent.

    Attributes:
        extent: Its number.
        rows: Of the extent.
        cols: Of the extent.
    """

    extent: int
    rows: slice
    cols: slice


@dataclass(frozen=True)
class ExtentMeans:
    """Means over a whole extent, which its parts need.

    Attributes:
        features: Of the correction, by the last day of the window [K]; none where nothing is corrected.
        residual: Of what earlier images left, by their time; NaN where one has no label.
    """

    features: Mapping[Day, Floats] = field(default_factory=dict)
    residual: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ResidualSums:
    """What images left of the forecast, summed over pixels with a label; sums of parts add up. Each [time]."""

    total: Floats
    count: Floats

    def __add__(self, other: ResidualSums) -> ResidualSums:
        """Of both parts."""
        return ResidualSums(self.total + other.total, self.count + other.count)


@dataclass(frozen=True)
class FittedForm:
    """The closed form of a bundle, on the extents that are mapped.

    Attributes:
        extents: The form of each.
        retrieval: References of each; None where none is known.
        nowcast: Whether earlier images are asked.
        phi: Share of what they left that lasts.
        start_month: That seasons begin with.
    """

    extents: tuple[ExtentForecaster, ...]
    retrieval: tuple[ExtentRetrieval | None, ...]
    nowcast: bool
    phi: float
    start_month: int

    @classmethod
    def restored(cls, state: Mapping[str, Any], working: WorkingGrid) -> FittedForm:
        """Find the extents that the response was fitted on; others are given that of the mean extent, which is logged.

        Args:
            state: Of `mlssm.inference.prefit.fitted_state`.
            working: The extents that are mapped.

        Raises:
            RunError: The state is not whole.
        """
        try:
            forecaster = Forecaster.restored(state["forecaster"])
            retrieval = [ExtentRetrieval.restored(extent) for extent in state["retrieval"] or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"the bundle's response is not whole ({error!r}); copy the bundle again") from None
        extents = forecaster.on(working.grid, working.extents)
        own = [next((i for i, extent in enumerate(forecaster.extents) if extent is found), None) for found in extents]
        references = tuple(retrieval[i] if retrieval and i is not None else None for i in own)
        if others := sum(extent.is_population for extent in extents):
            log.warning(
                "%d of %d extents are not those that the model was trained on: none of their pixels is known, and the "
                "mean extent's response is used",
                *(others, len(extents)),
            )
        # earlier bundles keep references for a nowcast alone
        nowcast = bool(state.get("nowcast", retrieval))
        return cls(extents, references, nowcast, forecaster.phi, forecaster.start_month)

    def season(self, day: Day) -> int:
        """Of a day."""
        return int(seasons(np.array([day], "datetime64[D]"), self.start_month)[0])


class DayMaps:
    """Makes the maps of `mlssm.data.prefit` for any day.

    Attributes:
        form: The closed form of each whole extent.
        extents: That of the pixels that are mapped.
    """

    def __init__(
        self,
        state: Mapping[str, Any] | FittedForm,
        images: Images,
        drivers: Drivers,
        parts: Sequence[Part] | None = None,
        means: Sequence[ExtentMeans] | None = None,
    ) -> None:
        """Restore the closed form where it is not yet.

        Args:
            state: See `FittedForm.restored`.
            images: Of the pixels that are mapped.
            drivers: At these pixels.
            parts: Which pixels; None: all of each extent.
            means: Over each part's whole extent; None: the parts are the whole.

        Raises:
            RunError: The state is not whole.
        """
        form = state if isinstance(state, FittedForm) else FittedForm.restored(state, images.stack.working)
        self.form, self._images, self._drivers, self._means = form, images, drivers, means
        whole = [Part(number, EVERYTHING, EVERYTHING) for number in range(len(form.extents))]
        self._parts = whole if parts is None else list(parts)
        self.extents = tuple(cropped(form.extents[part.extent], part.rows, part.cols) for part in self._parts)
        self._retrieval = [form.retrieval[part.extent] for part in self._parts]
        self._forms = [PartForm(extent.form) for extent in self.extents]
        self._memory = [memory_maps(extent.memory) for extent in self.extents]
        self._found: dict[tuple[int, int], Earlier | None] = {}

    @property
    def nowcast(self) -> bool:
        """Whether earlier images are asked."""
        return self.form.nowcast

    @property
    def last_day(self) -> Day:
        """Last day that the weather's record reaches."""
        return np.datetime64(self._drivers.forcing.days[-1], "D")

    def on(self, day: Day, end: Day) -> tuple[PrefitMaps, ...]:
        """The maps of each extent, or part.

        Args:
            day: That is mapped.
            end: Last day of its window of weather, at most `last_day`.
        """
        return tuple(self._of(number, extent, day, end) for number, extent in enumerate(self.extents))

    def corrects(self, number: int) -> bool:
        """Whether a part's forecasts need means over its extent."""
        return self._forms[number].corrects

    def feature_sums(self, number: int, ends: Sequence[Day]) -> FeatureSums:
        """Sums of the correction's features over a part, for windows that end on these days."""
        parts = [self._forms[number].sums(self._driver(number, end)[None]) for end in ends]
        return FeatureSums(np.concatenate([part.total for part in parts]), parts[0].count)

    def residual_sums(self, number: int, times: Times) -> ResidualSums:
        """What images left of the forecast, summed over a part."""
        total, count = np.zeros((2, len(times)))
        for place, time in enumerate(times):  # one by one: a season's images would be large together
            (left,) = self._left(number, np.array([time]))[0]
            known = np.isfinite(left)
            total[place], count[place] = left.sum(where=known), known.sum()
        return ResidualSums(total, count)

    def earlier_times(self, number: int, season: int) -> Times:
        """The images of a season that an extent's nowcast sees."""
        days = self._images.cube.local_days
        if self._retrieval[number] is None or not self.nowcast:
            return np.zeros(0, np.int64)
        times = np.flatnonzero(seasons(days, self.form.start_month) == season)
        return times[self._images.ends[times] <= self.last_day]

    def _driver(self, number: int, end: Day) -> Floats:
        extent = self.extents[number]
        (driver,) = self._drivers.driving(extent.bank, extent.station, number, np.array([end], "datetime64[D]"))
        return np.asarray(driver)

    def _forecast(self, number: int, end: Day) -> tuple[Floats, Floats]:
        """Forecast 0..1 [h, w] and driver [h, w] or [1, 1]."""
        driver, form = self._driver(number, end), self._forms[number]
        if not form.corrects:
            return form.forecast(driver, None), driver
        means = form.sums(driver[None]).mean[0] if self._means is None else self._means[number].features[end]
        return form.forecast(driver, means), driver

    def _of(self, number: int, extent: ExtentForecaster, day: Day, end: Day) -> PrefitMaps:
        found, driver = self._forecast(number, end)
        carried = self._carried(number, Moment(day, self.form.season(day), driver)) if self.nowcast else None
        maps = prefit_maps(found, self._memory[number], carried, self.form.phi)
        if extent.leverage is None:
            return maps
        leverage = extent.leverage.at(np.asarray(driver)).astype(np.float32)
        return {**maps, LEVERAGE: np.broadcast_to(leverage, found.shape)}

    def _carried(self, number: int, to: Moment) -> Carried:
        earlier = self._earlier(number, to.season)
        if earlier is None:
            shape = self.extents[number].memory.shape[1:]
            return Carried(np.zeros(shape), np.zeros(shape), np.full(shape, np.inf))
        return earlier.carry(to)

    def _earlier(self, number: int, season: int) -> Earlier | None:
        """An extent's images of a season; None where there is none, or no reference to read it by."""
        if (number, season) not in self._found:
            times = self.earlier_times(number, season)
            own = self._read_earlier(number, season, times) if times.size else None
            self._found[number, season] = own
        return self._found[number, season]

    def _read_earlier(self, number: int, season: int, times: Times) -> Earlier:
        cube = self._images.cube
        left, drivers = self._left(number, times)
        moments = [Moment(cube.local_days[time], season, driver) for time, driver in zip(times, drivers, strict=True)]
        if self._means is None:
            return Earlier(centred(left), moments, self.extents[number].scale)
        mean = np.array([self._means[number].residual[int(time)] for time in times])
        return Earlier(left - mean[:, None, None], moments, self.extents[number].scale)

    def _left(self, number: int, times: Times) -> tuple[Floats, list[Floats]]:
        """Label less forecast [time, h, w], NaN where there is no label, and the drivers."""
        retrieval = self._retrieval[number]
        assert retrieval is not None
        forecasts, drivers = zip(*(self._forecast(number, end) for end in self._images.ends[times]), strict=True)
        return self._labels(number, retrieval, times) - np.stack(forecasts), list(drivers)

    def _labels(self, number: int, retrieval: ExtentRetrieval, times: Times) -> Floats:
        images, part = self._images, self._parts[number]
        sigma = images.stack.extents[number].backscatter(times, EVERYTHING, EVERYTHING)
        if images.masks.any_of(number, times):
            sigma[images.masks.of(number, times, EVERYTHING, EVERYTHING)] = np.nan
        return retrieval.retrieve(sigma, images.cube.orbits[times], part.rows, part.cols)[0].astype(float)


def with_features(parts: Sequence[FeatureSums], ends: Sequence[Day]) -> ExtentMeans:
    """An extent's means of the features from the sums of its parts; none of an extent without a correction."""
    if not parts:
        return ExtentMeans()
    first, *others = parts
    return ExtentMeans(dict(zip(ends, sum(others, first).mean, strict=True)))


def with_residuals(means: ExtentMeans, parts: Sequence[ResidualSums], times: Times) -> ExtentMeans:
    """The same with what images left; as it is where no image is read."""
    if not parts:
        return means
    first, *others = parts
    found = sum(others, first)
    mean = np.divide(found.total, found.count, out=np.full(len(times), np.nan), where=found.count > 0)
    return replace(means, residual=dict(zip(map(int, times), map(float, mean), strict=True)))
