"""What drives soil moisture: antecedent precipitation indices and soil-water buckets, made at the stations.

Interpolation is linear in the station values, so an index of interpolated rain is the interpolated index: it is made at
the few stations once, and at pixels by one small matrix product a date.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlssm.weather.interpolation import inverse_distance
from mlssm.weather.stations import VARIABLES, Days, Floats, StationWeather
from mlssm.weather.windows import antecedent_precipitation_index

log = logging.getLogger(__name__)

DECAY_DAYS = 3.0  # of the driver where it is fixed
BANK_DECAYS = tuple(float(days) for days in range(1, 31))
CAPACITIES_MM, DRAINAGE_DAYS = (15.0, 25.0, 40.0, 60.0), (5.0, 10.0, 20.0, 40.0)
FIELD_CAPACITIES = (0.0, 0.3)  # relative storage at which drainage ends
SURFACE_SHARE, STRESS_BELOW = 0.8, 0.5  # of the demand that the surface layer meets; storage below which it is less
Shape = Literal["log", "root", "share"]


@dataclass(frozen=True)
class Driver:
    """Something that soil moisture rises with.

    Attributes:
        name: As it is logged.
        stored: Water at the stations at the end of each day: mm, or a share of the capacity [D, S].
        shape: How it drives: `log` is log(1 + x / 1 mm), `root` is sqrt(x), `share` is x.
    """

    name: str
    stored: Floats
    shape: Shape

    def at(self, positions: npt.NDArray[np.int64], weights: Floats) -> Floats:
        """The driver at pixels.

        Args:
            positions: Of the days in the record [T]; what lies before the record has had no rain.
            weights: Of the stations at the pixels [P, S], rows sum to 1.

        Returns:
            [T, P].

        Raises:
            ValueError: A day lies behind the record.
        """
        if len(positions) and positions.max() >= len(self.stored):
            raise ValueError(f"day {positions.max()} lies behind a record of {len(self.stored)} days")
        stored = np.where((positions >= 0)[:, None], self.stored[np.maximum(positions, 0)], 0.0)
        return shaped(stored @ weights.T, self.shape)


def shaped(stored: Floats, shape: Shape) -> Floats:
    """Water >= 0 as it drives; see `Driver`."""
    if shape == "log":
        return np.log1p(stored)
    return np.sqrt(stored) if shape == "root" else stored


@dataclass(frozen=True)
class Forcing:
    """Rain and evaporative demand at the stations, without gaps.

    Attributes:
        days: Consecutive local days [D].
        rain: mm [D, S].
        demand: Reference evapotranspiration, mm [D, S]; None where none was measured.
    """

    days: Days
    rain: Floats
    demand: Floats | None

    @classmethod
    def of(cls, weather: StationWeather, station_xy: Floats, neighbours: int, power: float) -> Forcing:
        """Fill the gaps of the record.

        A station's missing day is interpolated from the others. A day without rain at any station counts as 0, as the
        yardstick defines it; one without demand is interpolated in time.

        Args:
            weather: The record.
            station_xy: Projected coordinates, metres [S, 2].
            neighbours: Stations used at most for a value.
            power: Exponent of the distance.
        """

        def filled(variable: str) -> Floats:
            values = weather.values[:, :, VARIABLES.index(variable)]
            return inverse_distance(values.T, station_xy, station_xy, neighbours, power).T

        rain = filled("precipitation")
        if missing := int(np.isnan(rain).all(axis=1).sum()):
            log.info("%d of %d days have no rain at any station: they count as dry", missing, len(rain))
        return cls(weather.days, np.nan_to_num(rain), _over_time(filled("evapotranspiration")))

    def positions(self, ends: Days) -> npt.NDArray[np.int64]:
        """Position of each day in the record; negative before it."""
        apart = ends.astype("datetime64[D]") - self.days[0].astype("datetime64[D]")
        return np.asarray(apart.astype(np.int64))


def _over_time(values: Floats) -> Floats | None:
    """Gaps closed linearly in time, and by the nearest value at the ends; None without any value."""
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if not known.size:
        return None
    days = np.arange(len(values))
    return np.stack([np.interp(days, known, column[known]) for column in values.T], axis=1)


def index_driver(forcing: Forcing, decay_days: float = DECAY_DAYS, shape: Shape = "log") -> Driver:
    """The antecedent precipitation index as a driver; see `antecedent_precipitation_index`."""
    columns = [antecedent_precipitation_index(rain, decay_days) for rain in forcing.rain.T]
    return Driver(f"{shape} API {decay_days:g} d", np.stack(columns, axis=1), shape)


def bucket_driver(forcing: Forcing, capacity_mm: float, drainage_days: float, field_capacity: float) -> Driver:
    """A bucket that rain fills and that evapotranspiration and drainage empty, as a share of its capacity.

    S' = min(S + P, C); E = min(0.8 ET0 min(1, S' / (C / 2))^2, S'); what is above the field capacity F C then drains by
    1 - exp(-1 / days). It begins at the field capacity: a surface layer forgets that in weeks.

    Raises:
        ValueError: The record has no evaporative demand.
    """
    if forcing.demand is None:
        raise ValueError("a bucket needs reference evapotranspiration, and no station has any")
    stored, held = np.empty_like(forcing.rain), field_capacity * capacity_mm
    storage = np.full(forcing.rain.shape[1], held)
    kept = np.exp(-1 / drainage_days)
    for day, (rain, demand) in enumerate(zip(forcing.rain, forcing.demand, strict=True)):
        wetted = np.minimum(storage + rain, capacity_mm)
        stress = np.minimum(wetted / (STRESS_BELOW * capacity_mm), 1) ** 2
        left = wetted - np.minimum(SURFACE_SHARE * demand * stress, wetted)
        storage = np.where(left > held, held + (left - held) * kept, left)
        stored[day] = storage / capacity_mm
    return Driver(f"bucket {capacity_mm:g} mm {drainage_days:g} d {field_capacity:g}", stored, "share")


def bank(forcing: Forcing, *, buckets: bool = True) -> list[Driver]:
    """Many drivers to weigh: log(1 + API) and sqrt(API) of every decay, and buckets where there is a demand."""
    drivers = [index_driver(forcing, decay, shape) for shape in ("log", "root") for decay in BANK_DECAYS]
    if not buckets or forcing.demand is None:
        return drivers
    cases = ((c, k, f) for c in CAPACITIES_MM for k in DRAINAGE_DAYS for f in FIELD_CAPACITIES)
    return drivers + [bucket_driver(forcing, *case) for case in cases]
