"""Land cover: where each class lies, and how green it is on a day of the year."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.origins.simulation.arrays import Classes, Floats
from mlssm.origins.simulation.terrain import quantile_rank, spectral_field


class Cover(enum.IntEnum):
    """Land cover classes, in the order of `TRAITS`."""

    BARE = 0
    GRASS = 1
    SHRUB = 2
    FOREST = 3
    URBAN = 4
    WATER = 5


@dataclass(frozen=True)
class Traits:
    """What a land cover class looks like.

    Attributes:
        dry_vv_db: VV gamma0 of dry ground at 40 degrees, dB.
        sensitivity_vv_db: Rise of VV from SSM 0 to 1 without vegetation, dB.
        roughness_db: Standard deviation of the dry backscatter among pixels, dB.
        ndvi_low: NDVI at its lowest in the year.
        ndvi_high: NDVI at its highest in the year.
        peak_day: Day of the year of the highest NDVI.
    """

    dry_vv_db: float
    sensitivity_vv_db: float
    roughness_db: float
    ndvi_low: float
    ndvi_high: float
    peak_day: int


# Our choice, at levels that C band commonly shows: forest, town and lake must fall below a sensitivity mask of 2 dB.
TRAITS = (
    Traits(-15.0, 9.0, 0.8, 0.10, 0.18, 75),
    Traits(-14.0, 7.5, 0.8, 0.18, 0.62, 80),
    Traits(-12.0, 3.8, 0.7, 0.34, 0.50, 110),
    Traits(-10.0, 1.2, 0.5, 0.62, 0.74, 150),
    Traits(-5.0, 0.8, 1.5, 0.14, 0.24, 90),
    Traits(-22.0, 0.0, 0.0, -0.10, -0.08, 90),
)
WATER_SHARE = 0.015
URBAN_SHARE = 0.07
# Upper ends of bare, grass and shrub on the rank of height and chance; forest has the rest.
HEIGHT_ENDS = (0.20, 0.62, 0.84)
PATCHINESS = 3.0  # spectral exponent of the chance that breaks the height belts up
GREENNESS_DEVIATION = 0.03


def classify(rng: np.random.Generator, elevation: Floats, water_level: float) -> Classes:
    """Land cover in belts by height broken up by chance, a town in the lower half, and the lake.

    Args:
        rng: The stream to draw from.
        elevation: Metres.
        water_level: What lies at or below it is water, metres.

    Returns:
        uint8 of the same shape: values of `Cover`.
    """
    patches = spectral_field(rng, elevation.shape, PATCHINESS)
    town = quantile_rank(spectral_field(rng, elevation.shape, PATCHINESS))
    height = (elevation - elevation.mean()) / elevation.std()
    rank = quantile_rank(height + patches)
    cover = np.digitize(rank, HEIGHT_ENDS).astype(np.uint8)
    cover[(town > 1 - URBAN_SHARE) & (rank < HEIGHT_ENDS[1])] = Cover.URBAN
    cover[elevation <= water_level] = Cover.WATER
    return cover


def by_cover(cover: Classes, attribute: str) -> Floats:
    """A trait of each pixel's class, float32 of the same shape."""
    table: npt.NDArray[Any] = np.array([getattr(traits, attribute) for traits in TRAITS], dtype=np.float32)
    return table[cover]


def season(day_of_year: int, peak_day: Floats) -> Floats:
    """Course of the year from 0 (half a year off the peak) to 1 (at the peak): (1 + cos) / 2."""
    phase = (np.float32(day_of_year) - peak_day) * np.float32(2 * np.pi / 365.25)
    return np.asarray((1 + np.cos(phase)) / 2, dtype=np.float32)


@dataclass(frozen=True)
class Greenness:
    """The yearly course of NDVI at each pixel; all arrays float32 of the grid's shape."""

    low: Floats
    high: Floats
    peak_day: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, cover: Classes) -> Greenness:
        """The classes' courses, shifted up or down by a texture that stays the same all year."""
        shift = GREENNESS_DEVIATION * spectral_field(rng, cover.shape, PATCHINESS)
        low, high = by_cover(cover, "ndvi_low") + shift, by_cover(cover, "ndvi_high") + shift
        return cls(low, high, by_cover(cover, "peak_day"))

    def ndvi(self, day_of_year: int) -> Floats:
        """NDVI on a day of the year, -0.2..1, float32 of the grid's shape."""
        course = season(day_of_year, self.peak_day)
        return np.clip(self.low + (self.high - self.low) * course, -0.2, 1.0)
