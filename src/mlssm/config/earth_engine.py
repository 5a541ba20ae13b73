"""What Earth Engine fetches for each source of an area."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlssm.config.base import Strict


class EarthEngineService(Strict):
    """Google Earth Engine.

    Attributes:
        service: `earth_engine`.
        project: The Google Cloud project that is registered for it; null: the one that the login names.
        tile: Pixels along a side that one request brings; less where Earth Engine's memory or time is not enough.
    """

    service: Literal["earth_engine"]
    project: str | None = None
    tile: int = Field(default=2048, ge=64, le=3000)  # 3000 squared floats with their masks are below its 48 MB


class EarthEngineBackscatter(EarthEngineService):
    """Sentinel-1 ground range of Earth Engine, decibels: sigma0, placed by a terrain model but not flattened by it.

    Attributes:
        polarisations: That a scene must have.
        orbits: Relative orbits that count; null: all.
    """

    polarisations: tuple[Literal["VV", "VH", "HH", "HV"], ...] = Field(default=("VV", "VH"), min_length=1)
    orbits: tuple[int, ...] | None = None


class EarthEngineElevation(EarthEngineService):
    """A digital elevation model of Earth Engine.

    Attributes:
        model: Copernicus GLO-30, or NASADEM.
    """

    model: Literal["copernicus", "nasadem"] = "copernicus"


class EarthEngineNdvi(EarthEngineService):
    """NDVI from Sentinel-2 L2A, whose baselines Earth Engine has brought to one scale.

    Attributes:
        clouds: What masks them: the scene classes (`scl`), or s2cloudless' `probability`.
        most_probable: With `probability`: what is more probably cloud is masked, percent.
        most_cloud: Scenes with more cloud are left out, percent.
        every_days: The clearest scenes of so many days are taken; null: all.
    """

    clouds: Literal["scl", "probability"] = "scl"
    most_probable: float = Field(default=40.0, ge=0, le=100)
    most_cloud: float = Field(default=60.0, ge=0, le=100)
    every_days: int | None = Field(default=10, ge=1)
