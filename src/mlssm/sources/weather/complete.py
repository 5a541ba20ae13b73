"""From what a station observes to the variables of the cube: evapotranspiration, humidity, mean temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlssm.sources.weather.record import StationRecord
from mlssm.weather.evapotranspiration import (
    Calibration,
    DailyClimate,
    Method,
    reference_evapotranspiration,
    vapour_pressure,
    wind_at_2m,
)
from mlssm.weather.stations import VARIABLES, Floats


@dataclass(frozen=True)
class EvapotranspirationDays:
    """By which method a station's evapotranspiration was found, in days.

    Attributes:
        station: The station's name, or that of its grid.
        fao56: FAO-56 Penman-Monteith.
        hargreaves: Hargreaves.
        missing: None, as a temperature is missing.
        measured: Days of FAO-56 whose radiation was measured; on the others FAO-56 eq. 50 estimates it.
    """

    station: str
    fao56: int
    hargreaves: int
    missing: int
    measured: int = 0

    def told(self) -> str:
        """In words."""
        of_others = "radiation from eq. 50"
        radiation = f"radiation measured on {self.measured}" if self.measured else of_others
        return (
            f"{self.station}: evapotranspiration by FAO-56 ({radiation}) on {self.fao56} days, Hargreaves on "
            f"{self.hargreaves}, missing on {self.missing}"
        )


def climate_of(record: StationRecord) -> DailyClimate:
    """What evapotranspiration is computed from.

    Vapour pressure is taken as observed, else from the dew point, else from relative humidity.
    """
    from pyet.meteo_utils import calc_e0

    tmax, tmin = _observed(record, "max_temperature"), _observed(record, "min_temperature")
    vapour = _observed(record, "vapour_pressure")
    vapour = _first_known(vapour, np.asarray(calc_e0(_observed(record, "dew_point")), dtype=np.float64))
    vapour = _first_known(vapour, vapour_pressure(tmax, tmin, _observed(record, "relative_humidity")))
    return DailyClimate(
        days=record.observations.index.to_numpy().astype("datetime64[D]"),
        max_temperature=tmax,
        min_temperature=tmin,
        vapour_pressure=vapour,
        wind_2m=wind_at_2m(_observed(record, "wind")),
        latitude=record.latitude,
        elevation_m=record.elevation_m,
        radiation=_observed(record, "radiation"),
    )


def complete(
    record: StationRecord, climate: DailyClimate, calibration: Calibration
) -> tuple[pd.DataFrame, EvapotranspirationDays]:
    """The station's `VARIABLES` on its own days, and how its evapotranspiration was found.

    The mean temperature is (TMAX + TMIN) / 2, so that stations can be compared; the observed mean where one is missing.
    """
    found = reference_evapotranspiration(climate, calibration)
    middle = (climate.max_temperature + climate.min_temperature) / 2
    daily = record.observations.assign(
        evapotranspiration=found.mm_per_day,
        temperature=_first_known(middle, _observed(record, "temperature")),
        vapour_pressure=climate.vapour_pressure,
    )
    fao56, hargreaves, missing = (found.days_by(way) for way in (Method.FAO56, Method.HARGREAVES, Method.MISSING))
    radiation = np.zeros(len(middle)) * np.nan if climate.radiation is None else climate.radiation
    measured = int(((found.method == Method.FAO56) & np.isfinite(radiation)).sum())
    days = EvapotranspirationDays(record.group or record.id, fao56, hargreaves, missing, measured)
    return daily.reindex(columns=list(VARIABLES)), days


def _observed(record: StationRecord, name: str) -> Floats:
    if name not in record.observations:
        return np.full(len(record.observations), np.nan)
    return record.observations[name].to_numpy(dtype=np.float64)


def _first_known(values: Floats, others: Floats) -> Floats:
    return np.where(np.isfinite(values), values, others)
