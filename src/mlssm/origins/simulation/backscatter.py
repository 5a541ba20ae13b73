"""From soil moisture to C-band backscatter, and speckle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlssm.origins.simulation.arrays import Classes, Floats
from mlssm.origins.simulation.landcover import Cover, by_cover

POLARISATIONS = ("VV", "VH")
REFERENCE_ANGLE = 40.0
VH_BELOW_VV_DB = 7.0
VH_SENSITIVITY = 0.6  # of VV's
WATER_DB_PER_WIND = 0.8  # dB for each m/s over CALM: waves roughen open water
CALM = 3.0


@dataclass(frozen=True)
class Response:
    """How one polarisation answers to soil moisture at each pixel; arrays float32 of the grid's shape.

    Attributes:
        dry: Backscatter of dry ground at 40 degrees, dB.
        sensitivity: Rise from SSM 0 to 1 without vegetation, dB.
        attenuation: Share of the sensitivity that NDVI 1 would take away, 0..1.
        angle_slope: dB for each degree of incidence.
    """

    dry: Floats
    sensitivity: Floats
    attenuation: float
    angle_slope: float

    def decibels(self, ssm: Floats, ndvi: Floats, incidence: Floats) -> Floats:
        """Noise-free gamma0 in dB: dry + sensitivity (1 - attenuation NDVI) SSM + slope (theta - 40).

        Args:
            ssm: Relative surface soil moisture, 0..1.
            ndvi: -0.2..1.
            incidence: Angle theta, degrees.
        """
        moist = self.sensitivity * (1 - self.attenuation * ndvi) * ssm
        return self.dry + moist + self.angle_slope * (incidence - REFERENCE_ANGLE)


def response(polarisation: str, cover: Classes, roughness: Floats, attenuation: float, angle_slope: float) -> Response:
    """The response of VV or VH by land cover.

    Args:
        polarisation: `VV` or `VH`.
        cover: Land cover classes.
        roughness: Texture of surface roughness, mean 0 and standard deviation 1; each class scales it.
        attenuation: See `Response`.
        angle_slope: See `Response`.
    """
    dry = by_cover(cover, "dry_vv_db") + by_cover(cover, "roughness_db") * roughness
    sensitivity = by_cover(cover, "sensitivity_vv_db")
    if polarisation == "VH":
        dry, sensitivity = dry - VH_BELOW_VV_DB, VH_SENSITIVITY * sensitivity
    return Response(dry, sensitivity, attenuation, angle_slope)


def waves_db(cover: Classes, wind: float) -> Floats:
    """What the wind (m/s) adds to the backscatter of open water, dB; 0 on land."""
    return np.where(cover == Cover.WATER, np.float32(WATER_DB_PER_WIND * (wind - CALM)), np.float32(0))


def to_linear(decibels: Floats) -> Floats:
    """Linear power 10^(dB / 10)."""
    return np.power(np.float32(10), decibels / 10)


def speckle(rng: np.random.Generator, looks: float, shape: tuple[int, int]) -> Floats:
    """Fully developed multi-look speckle in power: gamma with mean 1 and variance 1 / looks.

    Source: Oliver & Quegan (2004), Understanding Synthetic Aperture Radar Images, section 4.3.

    Args:
        rng: The stream to draw from.
        looks: Equivalent number of looks.
        shape: Rows and columns; pixels are independent.
    """
    return rng.standard_gamma(looks, shape, dtype=np.float32) / np.float32(looks)
