"""Frozen and snowy pixels, and where asked wet canopies: their backscatter does not speak of the soil's moisture.

Frost is of the air's temperature when the satellite passed: the day's minimum for a pass before noon, its mean for one
after it. With the day's course as in Parton & Logan 1981 the air at 6:00 is within 1 K of the minimum, and at 18:00
between the mean and the maximum; the soil lags behind the air, so that the mean is the careful choice there.

Snow depths come from few stations, many of them in mountains. Interpolated, such a depth reaches the lowland, so it
counts only where it has been about as cold as snow needs: where the mean of the last days is below 2 degC, or as low as
at a station that reports snow. Both compare temperatures that fall with height, so that the snow has a lower limit.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.config import ImagesConfig
from mlssm.crew import Crew, fold
from mlssm.retrieval.bands import bands
from mlssm.retrieval.reasons import Flags, Reason, mark
from mlssm.retrieval.stack import Places
from mlssm.scratch import scratch
from mlssm.weather.field import MIN_TEMPERATURE, SNOW, TEMPERATURE, WeatherField
from mlssm.weather.stations import VARIABLES, Floats
from mlssm.weather.windows import antecedent

log = logging.getLogger(__name__)

Booleans = npt.NDArray[np.bool_]

RAIN = VARIABLES.index("precipitation")
SNOW_DAYS = 7
"""Snow outlives a warm day: its cold is a mean of so many days."""
WEIGHED_AT_ONCE = 64
"""Values that a pixel takes while it is interpolated: so few at once that their weights are kept for all dates."""
SNOW_BELOW_C = 2.0
"""Precipitation falls as snow about as often as as rain here (Jennings et al. 2018: 1.0 degC on the mean, up to 4)."""


@dataclass(frozen=True)
class DateMasks:
    """Which pixels are frozen or snowy at which acquisition.

    Attributes:
        masked: By extent and time, why, as flags of `Reason`, [height, width]; only where some pixel is.
        shapes: Rows and columns of each extent.
    """

    masked: Mapping[tuple[int, int], Flags]
    shapes: tuple[tuple[int, int], ...]

    def any_of(self, extent: int, times: npt.NDArray[np.int64]) -> bool:
        """Whether a pixel of the extent is masked at one of the times."""
        return any((extent, int(time)) in self.masked for time in times)

    def digest(self) -> str:
        """SHA-256 of all masks."""
        found = hashlib.sha256(str(self.shapes).encode())
        for place, mask in sorted(self.masked.items()):
            found.update(str(place).encode() + np.packbits(mask != 0).tobytes())
        return found.hexdigest()

    def cropped(self, extent: int, rows: slice) -> DateMasks:
        """Those of some rows of an extent, as extent 0."""
        start, stop, _ = rows.indices(self.shapes[extent][0])
        here = {(0, time): mask[rows] for (number, time), mask in self.masked.items() if number == extent}
        return DateMasks(here, ((stop - start, self.shapes[extent][1]),))

    def of(self, extent: int, times: npt.NDArray[np.int64], rows: Places, cols: Places) -> Booleans:
        """The mask, [time, rows, columns], or [time, ...] of single pixels."""
        return np.asarray(self.reasons(extent, times, rows, cols) != 0)

    def reasons(self, extent: int, times: npt.NDArray[np.int64], rows: Places, cols: Places) -> Flags:
        """Why they are masked, as `of`: flags of `Reason`, uint16."""
        clear = np.broadcast_to(np.uint16(0), self.shapes[extent])
        return np.stack(
            [np.asarray(self.masked.get((extent, int(time)), clear)[rows, cols], np.uint16) for time in times]
        )


@dataclass(frozen=True)
class Weather:
    """What decides on frost and snow at an acquisition: station values [1, S, V], in the order of `VARIABLES`.

    Attributes:
        day: Of the acquisition's local day; the temperature is that of the pass.
        recent: Means of the last days.
    """

    day: Floats
    recent: Floats

    def snowy(self, above_mm: float) -> Booleans:
        """Which stations report more snow than a depth [S]."""
        return np.asarray(self.day[0, :, SNOW] > above_mm)

    def snow_limit(self, above_mm: float) -> float:
        """The recent temperature, degC, above which no snow lies: 2, or the warmest at a station with such snow."""
        return float(np.nanmax(self.recent[0, self.snowy(above_mm), TEMPERATURE], initial=SNOW_BELOW_C))


def frozen_or_snowy(
    field: WeatherField,
    days: npt.NDArray[np.datetime64],
    config: ImagesConfig,
    morning: Booleans | None = None,
    crew: Crew | None = None,
) -> DateMasks:
    """Find frozen and snowy pixels from air temperature and snow depth of the acquisition's local day.

    A day without temperature at any station is not masked for frost; the log says how many there are.

    Args:
        field: The weather at the pixels.
        days: Local day of each acquisition.
        config: The thresholds.
        morning: Which of them passed before noon; None: none did, as for the map of a whole day.
        crew: Who looks at bands of rows; None: here, one after the other.
    """
    values = field.windows(days, lag=1, mode="aggregate")
    recent = antecedent(field.weather, days, SNOW_DAYS, "aggregate", min_coverage=1 / SNOW_DAYS)
    if morning is not None:
        values[morning, :, :, TEMPERATURE] = values[morning, :, :, MIN_TEMPERATURE]
    unknown = int(np.isnan(values[:, 0, :, TEMPERATURE]).all(axis=1).sum())
    if unknown:
        log.warning("%d acquisitions have no air temperature: frost cannot be masked there", unknown)
    decisive = [Weather(*each) for each in zip(values, recent, strict=True)]
    masked: dict[tuple[int, int], Flags] = {}
    for extent in range(len(field.places)):
        masked |= {(extent, time): mask for time, mask in _masks(field, decisive, extent, config, crew).items()}
    return DateMasks(masked, tuple(place.shape for place in field.places))


def _masks(
    field: WeatherField, times: Sequence[Weather], extent: int, config: ImagesConfig, crew: Crew | None
) -> dict[int, Flags]:
    """Of each time with a masked pixel, [height, width]; band by band, as a band's weights are the same for all."""
    shape, judged = field.places[extent].shape, [_Judged(weather, config) for weather in times]
    doubtful = [time for time, each in enumerate(judged) if each.may_mask(field, extent)]
    if not doubtful:
        return {}
    found, parts = scratch((len(doubtful), *shape), np.uint16), bands(shape, WEIGHED_AT_ONCE)
    places = iter(parts)

    def put(masks: Flags) -> None:
        found[:, next(places)] = masks

    fold(crew, _Judging(field, extent, [judged[time] for time in doubtful]), parts, put, "frost and snow")
    return {time: _plain(mask) for time, mask in zip(doubtful, found, strict=True) if mask.any()}


def _plain(mask: Flags) -> Flags:
    """The mask; one that is the same everywhere without its memory."""
    return np.broadcast_to(mask[0, 0].copy(), mask.shape) if (mask == mask[0, 0]).all() else mask


@dataclass(frozen=True)
class _Judged:
    """The weather of an acquisition under a configuration."""

    weather: Weather
    config: ImagesConfig

    @property
    def snowy(self) -> bool:
        return bool(self.weather.snowy(self.config.snow_above_mm).any())

    @property
    def rainy(self) -> bool:
        return bool((self.weather.day[0, :, RAIN] > self.rain_above).any())

    @property
    def rain_above(self) -> float:
        return self.config.wet_canopy_above_mm or np.inf

    def may_mask(self, field: WeatherField, extent: int) -> bool:
        """Whether a pixel of an extent could be masked."""
        return self.snowy or self.rainy or field.coldest(self.weather.day[0], extent) < self.config.frozen_below_c

    def of(self, field: WeatherField, extent: int, rows: slice) -> Flags:
        """Why pixels of some rows are masked."""
        weather, config = self.weather, self.config
        temperature, snow = field.at_pixels(weather.day, extent, rows, slice(None), ("temperature", "snow_depth"))[0]
        mask = np.where(temperature < config.frozen_below_c, Reason.FROZEN, 0).astype(np.uint16)
        if self.snowy:
            (recent,) = field.at_pixels(weather.recent, extent, rows, slice(None), ("temperature",))[0]
            # float32 is not to part a station from itself
            limit = weather.snow_limit(config.snow_above_mm) + 1e-3
            # where no temperature is known, the depth decides alone
            mark(mask, (snow > config.snow_above_mm) & ~(recent > limit), Reason.SNOW)
        if self.rainy:
            (rain,) = field.at_pixels(weather.day, extent, rows, slice(None), ("precipitation",))[0]
            mark(mask, rain > self.rain_above, Reason.WET_CANOPY)
        return mask


@dataclass(frozen=True)
class _Judging:
    """Judges rows of an extent at some acquisitions."""

    field: WeatherField
    extent: int
    times: Sequence[_Judged]

    def __call__(self, rows: slice) -> Flags:
        """Why pixels are masked, [time, rows, width]."""
        return np.stack([each.of(self.field, self.extent, rows) for each in self.times])
