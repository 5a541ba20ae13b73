"""The daily soil-water bucket of the surface layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlssm.origins.simulation.arrays import Classes, Floats


@dataclass(frozen=True)
class Soil:
    """A soil class.

    Attributes:
        capacity_mm: What its surface layer can hold, mm.
        drainage_days: Time constant of its drainage, days.
        field_capacity: Relative storage at which drainage ends, 0..1.
    """

    capacity_mm: float
    drainage_days: float
    field_capacity: float


# Classes 1 to 4: sand, loam, silt, clay.
SOILS = (Soil(18.0, 4.0, 0.15), Soil(28.0, 8.0, 0.30), Soil(40.0, 14.0, 0.42), Soil(52.0, 22.0, 0.52))
SURFACE_SHARE = 0.8  # of the atmosphere's demand that the surface layer meets; roots below meet the rest
STRESS_BELOW = 0.5  # relative storage under which evapotranspiration falls, by its square: the drier, the more held
CREST_DRAINAGE, HOLLOW_DRAINAGE = 1.6, 0.4  # times the soil's own rate
STEEPEST_RUNOFF = 0.8  # share of rain that runs off a vertical wall; by the sine of the slope


@dataclass(frozen=True)
class Bucket:
    """The surface layer's parameters at each pixel.

    Attributes:
        capacity: Largest storage, mm.
        field_capacity: Storage at which drainage ends, mm.
        drainage_rate: Rate of the exponential drainage, 1/day.
        runoff_share: Share of the rain that runs off at once, 0..1.
    """

    capacity: Floats
    field_capacity: Floats
    drainage_rate: Floats
    runoff_share: Floats


@dataclass(frozen=True)
class Day:
    """A day's water at each pixel, mm: rain = infiltration + runoff; the storage is the one at the day's end."""

    storage: Floats
    infiltration: Floats
    runoff: Floats
    evapotranspiration: Floats
    drainage: Floats


def bucket_of(soil: Classes, slope: Floats, wetness: Floats) -> Bucket:
    """The bucket at each pixel: hollows drain slower than crests, steep slopes shed more rain.

    Args:
        soil: Classes 1 to 4; 0 (water) is given the first class's bucket, which nothing reads.
        slope: Degrees.
        wetness: Topographic wetness, 0..1.
    """
    rows = np.maximum(soil, 1) - 1
    table = np.array(
        [(kind.capacity_mm, kind.field_capacity, 1 / kind.drainage_days) for kind in SOILS], dtype=np.float32
    )
    capacity, field_capacity, rate = np.moveaxis(table[rows], -1, 0)
    rate = rate * (CREST_DRAINAGE + (HOLLOW_DRAINAGE - CREST_DRAINAGE) * wetness)
    return Bucket(capacity, field_capacity * capacity, rate, STEEPEST_RUNOFF * np.sin(np.radians(slope)))


def step(bucket: Bucket, storage: Floats, rain: Floats, demand: Floats) -> Day:
    """Carry the storage over a day: it rains, then evaporates, then drains.

    Infiltration I = min((1 - runoff share) P, C - S).
    Evapotranspiration E = min(demand * SURFACE_SHARE * min(1, S / (STRESS_BELOW C))^2, S).
    Drainage D = max(S - F, 0) (1 - exp(-k)), the outflow of a linear reservoir above field capacity F.
    P - runoff - E - D is the change of storage, which stays within 0..C.

    Args:
        bucket: The parameters.
        storage: At the day's start, mm.
        rain: The day's rain P, mm.
        demand: The day's reference evapotranspiration, mm.
    """
    infiltration = np.minimum((1 - bucket.runoff_share) * rain, bucket.capacity - storage)
    wetted = storage + infiltration
    stress = np.minimum(1.0, wetted / (STRESS_BELOW * bucket.capacity)) ** 2
    evapotranspiration = np.minimum(SURFACE_SHARE * demand * stress, wetted)
    left = wetted - evapotranspiration
    drainage = np.maximum(left - bucket.field_capacity, 0) * -np.expm1(-bucket.drainage_rate)
    return Day(left - drainage, infiltration, rain - infiltration, evapotranspiration, drainage)
