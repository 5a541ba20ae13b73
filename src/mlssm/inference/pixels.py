"""What a trained model says of single pixels, day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mlssm.data.assemble import all_moments, has_weather
from mlssm.data.moment import Moment
from mlssm.data.prefit import FORECAST, LEVERAGE
from mlssm.inference.around import Pixel, by_extent, lattice_means
from mlssm.inference.certainty import SPAN, Wanted, sure_parts
from mlssm.inference.day_maps import ExtentMeans
from mlssm.inference.mapper import Days, Mapper, missing_everywhere, window_end
from mlssm.inference.opened import Opened
from mlssm.inference.surround import Surround
from mlssm.models.prediction import predict
from mlssm.progress import track
from mlssm.retrieval.masks import frozen_or_snowy

Floats = npt.NDArray[np.float64]
TOGETHER = 16  # days that the network is shown at once


@dataclass(frozen=True)
class PixelSeries:
    """What a model says of one pixel, each [day]; NaN where it says nothing.

    Attributes:
        ssm: 0..1.
        lower: Lower end of its interval; NaN without a calibration.
        upper: Upper end.
        response: Of the closed form below the network; NaN without.
        frozen: Days that are masked as frozen or snowy.
    """

    ssm: Floats
    lower: Floats
    upper: Floats
    response: Floats
    frozen: npt.NDArray[np.bool_]


def pixel_series(
    opened: Opened, pixels: Sequence[Pixel], days: Days, most: int, level: float
) -> dict[Pixel, PixelSeries]:
    """Predict pixels on many days.

    Args:
        opened: The trained run and the area.
        pixels: Which.
        days: Local days.
        most: Pixels on each side that the network is shown at most; where it looks no further, that is what maps show
            whose state is not carried.
        level: Of the intervals.
    """
    reach = opened.bundle.model.reach(opened.bundle.window.steps)
    around = Surround(most if reach is None else min(reach, most), opened.bundle.model.coarsest_cell, 0, 1, 0)
    if opened.form is not None and any(extent.bank is not None for extent in opened.form.extents):
        opened.drivers.many  # noqa: B018 - made once here, and shared by all pixels
    with_means = [
        (pixel, means)
        for extent, own in by_extent(pixels).items()
        for means in [lattice_means(opened, extent, days)]
        for pixel in own
    ]
    moments = days_weather(opened, days)
    return {
        pixel: _series(_At.of(opened, pixel, means, days, around), days, moments, level)
        for pixel, means in track(with_means, "pixels of stations")
    }


def days_weather(opened: Opened, days: Days) -> dict[int, Moment]:
    """Weather of the days that can be mapped, by their position, without maps of the closed form."""
    bundle, features = opened.bundle, opened.features
    ends = np.array([window_end(bundle, day) for day in days], "datetime64[D]")
    behind = ends > opened.cube.weather.days[-1] if opened.form is not None else np.zeros(len(ends), bool)
    found = enumerate(all_moments(features.field, ends, days, bundle.window))
    return {
        number: moment
        for number, moment in found
        if not behind[number]
        and has_weather(moment, bundle.weather, bundle.features)
        and not missing_everywhere(features.spec, moment, features.layers)
    }


def _series(at: _At, days: Days, moments: Mapping[int, Moment], level: float) -> PixelSeries:
    rows, frozen = np.full((len(days), 4), np.nan), at.frozen(days)
    wanted = [] if at.is_water else [number for number in moments if not frozen[number]]
    for start in range(0, len(wanted), TOGETHER):
        part = wanted[start : start + TOGETHER]
        rows[part] = at.of_days([moments[number] for number in part], level)
    return PixelSeries(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], frozen)


@dataclass(frozen=True)
class _At:
    """A pixel in what was opened around it.

    Attributes:
        mapper: Opened on a window.
        seen: Rows and columns that the network is shown, counted from the window's corner.
        place: The pixel in the window.
        middle: The pixel in what the network is shown.
    """

    mapper: Mapper
    seen: tuple[slice, slice]
    place: tuple[int, int]
    middle: tuple[int, int]

    @classmethod
    def of(cls, opened: Opened, pixel: Pixel, means: ExtentMeans | None, days: Days, around: Surround) -> _At:
        """Open what a network sees around a pixel."""
        window = around.needed(pixel.window, opened.shapes[pixel.extent])
        rows, cols = around.seen(pixel.window, opened.shapes[pixel.extent])
        top, left = window.row, window.col
        seen = slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)
        place, middle = (pixel.row - top, pixel.col - left), (pixel.row - rows.start, pixel.col - cols.start)
        return cls(opened.part(pixel.extent, window, days, means), seen, place, middle)

    @property
    def is_water(self) -> bool:
        """Whether there is nothing to map."""
        return bool(self.mapper.water()[0][self.place])

    def frozen(self, days: Days) -> npt.NDArray[np.bool_]:
        """Whether the map of each day is masked there as frozen or snowy, as in `Mapper.frozen`."""
        bundle = self.mapper.bundle
        morning = np.full(len(days), not bundle.pass_is_evening)
        masks = frozen_or_snowy(self.mapper.features.field, days, bundle.images, morning)
        return masks.of(0, np.arange(len(days)), *(slice(at, at + 1) for at in self.place))[:, 0, 0]

    def of_days(self, moments: Sequence[Moment], level: float) -> Floats:
        """Map, lower and upper end, and closed form [day, 4]."""
        prefit, bundle = self.mapper.prefit, self.mapper.bundle
        if prefit is not None:
            moments = [replace(each, maps=prefit.on(each.day, window_end(bundle, each.day))) for each in moments]
        inputs = [self.mapper.features.patch(0, moment, *self.seen) for moment in moments]
        dynamic, static = (
            torch.from_numpy(np.stack([getattr(each, name) for each in inputs])) for name in ("dynamic", "static")
        )
        found = predict(self.mapper.network, dynamic, static)
        usable = np.array([each.usable[self.middle] for each in inputs])
        ssm = np.where(usable, found.ssm[:, 0, *self.middle].numpy().astype(float), np.nan)
        spread = None if found.spread is None else found.spread[:, 0, *self.middle].numpy().astype(float)
        maps = [moment.maps[0] if moment.maps else {} for moment in moments]
        response = np.array([self._value(each, FORECAST) for each in maps])
        return np.column_stack([ssm, *self._interval(maps, ssm, spread, level), response])

    def _value(self, maps: Mapping[str, Any], name: str) -> float:
        return float(maps[name][self.place]) if name in maps else np.nan

    def _interval(
        self, maps: Sequence[Mapping[str, Any]], ssm: Floats, spread: Floats | None, level: float
    ) -> tuple[Floats, Floats]:
        lower, upper = np.full((2, len(ssm)), np.nan)
        certainty, known = self.mapper.certainty, np.isfinite(ssm)
        if certainty is None or certainty.calibration is None or not known.any():
            return lower, upper
        spans = np.array([self._value({SPAN: certainty.spans[0], **each}, SPAN) for each in maps])
        leverage = np.array([self._value(each, LEVERAGE) for each in maps])
        own = None if spread is None else spread[known]
        deviation = certainty.calibration.scale.deviation(ssm[known], spans[known], leverage[known], own)
        lower[known], upper[known], *_ = sure_parts(certainty.calibration, ssm[known], deviation, Wanted(level, ()))
        return lower, upper
