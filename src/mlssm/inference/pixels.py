"""What a trained model says of single pixels, day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mlssm.data.moment import Moment
from mlssm.data.prefit import FORECAST, LEVERAGE
from mlssm.inference.around import Pixel, by_extent, lattice_means
from mlssm.inference.certainty import SPAN, Wanted, sure_parts
from mlssm.inference.day_maps import ExtentMeans
from mlssm.inference.mapper import Days, Mapper
from mlssm.inference.opened import Opened
from mlssm.inference.surround import Surround
from mlssm.models.prediction import predict
from mlssm.progress import track

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
        most: Pixels on each side that the network is shown at most; where it looks no further, that is what maps show.
        level: Of the intervals.
    """
    reach = opened.bundle.model.reach(opened.bundle.window.steps)
    around = Surround(most if reach is None else min(reach, most), opened.bundle.model.weather_ratio, 0, 1, 0)
    found = {}
    with_means = [
        (pixel, means)
        for extent, own in by_extent(pixels).items()
        for means in [lattice_means(opened, extent, days)]
        for pixel in own
    ]
    for pixel, means in track(with_means, "pixels of stations"):
        found[pixel] = _series(opened, pixel, means, days, around, level)
    return found


def _series(
    opened: Opened, pixel: Pixel, means: ExtentMeans | None, days: Days, around: Surround, level: float
) -> PixelSeries:
    shape = opened.shapes[pixel.extent]
    window = around.needed(pixel.window, shape)
    seen = around.seen(pixel.window, shape)
    local = [
        slice(part.start - first, part.stop - first) for part, first in zip(seen, (window.row, window.col), strict=True)
    ]
    at = _At(
        opened.part(pixel.extent, window, days, means),
        (local[0], local[1]),
        (pixel.row - window.row, pixel.col - window.col),
        (pixel.row - seen[0].start, pixel.col - seen[1].start),
    )
    rows, frozen = np.full((len(days), 4), np.nan), np.zeros(len(days), bool)
    if not at.is_water:
        for start in range(0, len(days), TOGETHER):
            part = range(start, min(start + TOGETHER, len(days)))
            known = [(n, moment) for n in part if (moment := at.mapper.moment(days[n])) is not None]
            if known:
                numbers, moments = [n for n, _ in known], [moment for _, moment in known]
                rows[numbers] = at.of_days(moments, level)
                frozen[numbers] = [at.is_frozen(days[n]) for n in numbers]
    rows[frozen] = np.nan
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

    @property
    def is_water(self) -> bool:
        """Whether there is nothing to map."""
        return bool(self.mapper.water()[0][self.place])

    def is_frozen(self, day: np.datetime64) -> bool:
        """Whether a map is masked there."""
        return bool(self.mapper.frozen(day)[0][self.place])

    def of_days(self, moments: Sequence[Moment], level: float) -> Floats:
        """Map, lower and upper end, and closed form [day, 4]."""
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
