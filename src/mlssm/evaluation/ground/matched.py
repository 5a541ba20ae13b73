"""What is known of a station's pixel, day by day: measured, mapped, retrieved, and what rain alone would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.inference.pixels import PixelSeries
from mlssm.response.driver import BANK_DECAYS
from mlssm.sources.insitu.stations import Station
from mlssm.weather.interpolation import inverse_distance
from mlssm.weather.stations import VARIABLES, StationWeather
from mlssm.weather.windows import antecedent_precipitation_index

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
LEAST_LABELS = 10  # images that rain is fitted to


@dataclass(frozen=True)
class Matched:
    """A station and its pixel.

    Attributes:
        station: The station.
        distance_m: From the pixel's middle.
        days: By day: `station` in m3/m3; `model`, `lower`, `upper`, `response`, `fitted_rain` and `retrieved` as SSM
            0..1; `rain`, which is log(1 + antecedent precipitation index); `rain_mm`; NaN where there is none. And
            `held_out`: whether the model was trained on no day of the season.
        decay_days: Of the antecedent rain that was fitted; NaN where none was.
    """

    station: Station
    distance_m: float
    days: pd.DataFrame
    decay_days: float


@dataclass(frozen=True)
class StationRain:
    """Rain at a station, interpolated between the stations of the weather.

    Attributes:
        days: Consecutive days.
        rain: mm [day]; days without any count as dry, as the yardstick defines it.
    """

    days: Days
    rain: Floats

    @classmethod
    def at(
        cls, weather: StationWeather, station_xy: Floats, x: float, y: float, neighbours: int, power: float
    ) -> StationRain:
        """At a place, metres."""
        values = weather.values[:, :, VARIABLES.index("precipitation")].T
        daily = inverse_distance(values, station_xy, np.array([[x, y]]), neighbours, power)[0]
        return cls(weather.days, np.nan_to_num(daily))

    def wetness(self, ends: Days, decay_days: float = 3.0) -> Floats:
        """log(1 + antecedent precipitation index / mm) at the end of each day; NaN outside of the record."""
        position = (ends - self.days[0]).astype(np.int64)
        inside = (position >= 0) & (position < len(self.rain))
        index = np.log1p(antecedent_precipitation_index(self.rain, decay_days))
        return np.where(inside, index[np.where(inside, position, 0)], np.nan)


@dataclass(frozen=True)
class FittedRain:
    """SSM = clip(a + b log(1 + index), 0, 1), fitted to what was retrieved at the pixel, as the model is.

    Attributes:
        offset: a.
        slope: b.
        decay_days: Of the index, that of the bank which leaves least.
    """

    offset: float
    slope: float
    decay_days: float

    @classmethod
    def fit(cls, rain: StationRain, ends: Days, ssm: Floats) -> FittedRain | None:
        """Least squares; None with fewer than `LEAST_LABELS` labels.

        Args:
            rain: At the station.
            ends: Last day of each image's window.
            ssm: What was retrieved, 0..1; NaN where masked.
        """
        wetness = np.stack([rain.wetness(ends, decay) for decay in BANK_DECAYS])
        known = np.isfinite(ssm) & np.isfinite(wetness).all(axis=0)
        if known.sum() < LEAST_LABELS or np.ptp(ssm[known]) == 0:
            return None
        fits = [np.polyfit(each[known], ssm[known], 1) for each in wetness]
        left = [
            float(((np.polyval(fit, each[known]) - ssm[known]) ** 2).sum())
            for fit, each in zip(fits, wetness, strict=True)
        ]
        best = int(np.argmin(left))
        slope, offset = fits[best]
        return cls(float(offset), float(slope), BANK_DECAYS[best])

    def ssm(self, rain: StationRain, ends: Days) -> Floats:
        """SSM at the end of each day, 0..1."""
        return np.asarray(np.clip(self.offset + self.slope * rain.wetness(ends, self.decay_days), 0, 1), np.float64)


def matched(
    station: Station,
    distance_m: float,
    days: Days,
    mapped: PixelSeries,
    images: tuple[Days, Floats],
    rain: StationRain,
    ends_before: int,
    training: npt.NDArray[np.bool_] | None,
    held_out: npt.NDArray[np.bool_] | None,
) -> Matched:
    """Put all that is known of a station together.

    Args:
        station: What was measured.
        distance_m: From the pixel's middle.
        days: Of the maps.
        mapped: What the model says on them.
        images: Local days of images, and what was retrieved from them.
        rain: At the station.
        ends_before: Days from the end of a window of weather to its map: 0, or 1 with morning passes.
        training: Which of the images the model was trained on; None: that is not known, and rain is fitted to all.
        held_out: Which days are of seasons that it was not trained on; None: not known.
    """
    index, back = pd.DatetimeIndex(days), np.timedelta64(ends_before, "D")
    of_images, ssm = images
    own = ssm if training is None else np.where(training, ssm, np.nan)
    fitted = FittedRain.fit(rain, of_images - back, own)
    table = pd.DataFrame(
        {
            "station": station.moisture.reindex(index).to_numpy(),
            "model": mapped.ssm,
            "lower": mapped.lower,
            "upper": mapped.upper,
            "response": mapped.response,
            "fitted_rain": np.nan if fitted is None else fitted.ssm(rain, days - back),
            "rain": rain.wetness(days - back),
            "retrieved": pd.Series(ssm, pd.DatetimeIndex(of_images)).reindex(index).to_numpy(),
            "rain_mm": pd.Series(rain.rain, pd.DatetimeIndex(rain.days)).reindex(index).to_numpy(),
            "held_out": False if held_out is None else held_out,
        },
        index,
    )
    return Matched(station, distance_m, table, np.nan if fitted is None else fitted.decay_days)


def common_days(many: Sequence[Matched]) -> int:
    """Days on which a station and the model have a value, over all stations."""
    return sum(int(each.days[["station", "model"]].notna().all(axis=1).sum()) for each in many)
