"""Frozen and snowy pixels: their backscatter does not speak of moisture."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.retrieval.stack import Places, row_bands
from mlssm.weather.field import SNOW, TEMPERATURE, WeatherField
from mlssm.weather.stations import Floats

log = logging.getLogger(__name__)

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DateMasks:
    """Which pixels are frozen or snowy at which acquisition.

    Attributes:
        masked: By area and time, bool [height, width]; only where some pixel is.
        shapes: Rows and columns of each area.
    """

    masked: Mapping[tuple[int, int], Booleans]
    shapes: tuple[tuple[int, int], ...]

    def any_of(self, area: int, times: npt.NDArray[np.int64]) -> bool:
        """Whether a pixel of the area is masked at one of the times."""
        return any((area, int(time)) in self.masked for time in times)

    def digest(self) -> str:
        """SHA-256 of all masks."""
        found = hashlib.sha256(str(self.shapes).encode())
        for place, mask in sorted(self.masked.items()):
            found.update(str(place).encode() + np.packbits(mask).tobytes())
        return found.hexdigest()

    def of(self, area: int, times: npt.NDArray[np.int64], rows: Places, cols: Places) -> Booleans:
        """The mask, [time, rows, columns], or [time, ...] of single pixels."""
        clear = np.zeros(self.shapes[area], bool)
        return np.stack([self.masked.get((area, int(time)), clear)[rows, cols] for time in times])


def frozen_or_snowy(field: WeatherField, days: npt.NDArray[np.datetime64], config: RetrievalConfig) -> DateMasks:
    """Find frozen and snowy pixels from the mean air temperature and the snow depth of the acquisition's local day.

    A day without temperature at any station is not masked; the log says how many there are.

    Args:
        field: The weather at the pixels.
        days: Local day of each acquisition.
        config: The thresholds.
    """
    values = field.windows(days, lag=1, mode="aggregate")
    unknown = int(np.isnan(values[:, 0, :, TEMPERATURE]).all(axis=1).sum())
    if unknown:
        log.warning("%d acquisitions have no air temperature: frost cannot be masked there", unknown)
    masked = {}
    for time, window in enumerate(values):
        for area in range(len(field.places)):
            mask = _mask(field, window, area, config)
            if mask.any():
                masked[area, time] = mask
    return DateMasks(masked, tuple(place.shape for place in field.places))


def _mask(field: WeatherField, window: Floats, area: int, config: RetrievalConfig) -> Booleans:
    snowy = bool((window[0, :, SNOW] > config.snow_above_mm).any())
    if not snowy and field.coldest(window[0], area) >= config.frozen_below_c:
        return np.zeros(field.places[area].shape, bool)
    bands = []
    for rows in row_bands(field.places[area].shape[0]):
        temperature, snow = field.at_pixels(window, area, rows, slice(None), ("temperature", "snow_depth"))[0]
        bands.append((temperature < config.frozen_below_c) | (snow > config.snow_above_mm))
    return np.concatenate(bands)
