"""What fills an area's folder: a service for each of its sources, and how patient its requests are.

Each service has a class with its name as `service`; a source that several services have is their union.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from mlssm.config.base import Strict
from mlssm.config.earth_engine import EarthEngineBackscatter, EarthEngineElevation, EarthEngineNdvi
from mlssm.config.noaa import NoaaWeather
from mlssm.config.soil_services import PolarisSoil, SoilGridsSoil, SsurgoSoil

PLANETARY = "https://planetarycomputer.microsoft.com/api/stac/v1"


class DownloadConfig(Strict):
    """How files and answers are fetched over HTTP.

    Attributes:
        cache: Folder of files that several areas share, by what they hold; null: none is kept.
        threads: Files that are fetched at once.
        retries: How often a request is made again that did not bring anything new.
        backoff_s: Wait before the first of them, seconds; it doubles each time, with jitter.
        longest_wait_s: No single wait is longer, also where a service asks for more: then it is given up.
        timeout_s: Without a byte for so long, a connection counts as broken.
    """

    cache: Path | None = Path("data/cache")
    threads: int = Field(default=4, ge=1, le=32)
    retries: int = Field(default=6, ge=0, le=50)
    backoff_s: float = Field(default=1.0, ge=0, le=60)
    longest_wait_s: float = Field(default=600.0, gt=0)
    timeout_s: float = Field(default=60.0, gt=0)


class StacService(Strict):
    """A STAC API.

    Attributes:
        service: `stac`.
        api: Address of the API's root.
        collection: Its collection.
        sign: `planetary_computer`: links are signed by its tokens, and again when they expire; null: they are open.
        licence: Under which the data may be used; null: as the collection says.
    """

    service: Literal["stac"]
    api: str = PLANETARY
    collection: str
    sign: Literal["planetary_computer"] | None = None
    licence: str | None = None


class StacBackscatter(StacService):
    """Sentinel-1 of a STAC API.

    Attributes:
        collection: Of terrain-corrected backscatter (RTC, gamma0).
        polarisations: The assets that are read, where a scene has them.
        orbits: Relative orbits that count; null: all.
    """

    collection: str = "sentinel-1-rtc"
    polarisations: tuple[Literal["VV", "VH", "HH", "HV"], ...] = ("VV", "VH")
    orbits: tuple[int, ...] | None = None

    @field_validator("collection")
    @classmethod
    def _is_terrain_corrected(cls, collection: str) -> str:
        if "grd" in collection.lower():
            raise ValueError(
                "GRD is not terrain-corrected: uncalibrated numbers, displaced by tens to hundreds of metres on "
                "slopes, which no map of moisture can be made of; use a collection of RTC, e.g. sentinel-1-rtc"
            )
        return collection


class StacElevation(StacService):
    """A digital elevation model of a STAC API.

    Attributes:
        asset: Its asset.
    """

    collection: str = "cop-dem-glo-30"
    asset: str = "data"


class StacNdvi(StacService):
    """NDVI from Sentinel-2 L2A of a STAC API; clouds, their shadows, snow and faults are masked by its scene classes.

    Attributes:
        red: Asset of band 4.
        nir: Asset of band 8.
        classes: Asset of the scene classification (SCL).
        most_cloud: Scenes with more cloud are left out, percent.
        every_days: The clearest scenes of so many days are taken; null: all.
    """

    collection: str = "sentinel-2-l2a"
    red: str = "B04"
    nir: str = "B08"
    classes: str = "SCL"
    most_cloud: float = Field(default=60.0, ge=0, le=100)
    every_days: int | None = Field(default=10, ge=1)


class OperaBackscatter(Strict):
    """OPERA RTC-S1 from ASF.

    Attributes:
        service: `opera`.
        polarisations: That are fetched, where a burst has them.
        orbits: Relative orbits that count; null: all.
        masks: Whether each image's mask of layover, shadow and ocean is fetched too.
    """

    service: Literal["opera"]
    polarisations: tuple[Literal["VV", "VH", "HH", "HV"], ...] = ("VV", "VH")
    orbits: tuple[int, ...] | None = None
    masks: bool = False


class OwnService(Strict):
    """A service of the user's own.

    Attributes:
        service: `own`.
        fetcher: Where its class or function is, e.g. `my_package.Archive`: called with `settings` and
            `mlssm.origins.download.Downloads`, it gives a `mlssm.origins.contract.Fetcher`.
        settings: What it is told; a folder that was filled with others is not mixed with these.
    """

    service: Literal["own"]
    fetcher: str
    settings: dict[str, Any] = Field(default_factory=dict)


class OriginConfig(Strict):
    """The service of each source; of one that is null nothing is fetched, and what is in the folder counts."""

    download: DownloadConfig = DownloadConfig()
    backscatter: (
        Annotated[
            StacBackscatter | OperaBackscatter | EarthEngineBackscatter | OwnService, Field(discriminator="service")
        ]
        | None
    ) = None
    dem: Annotated[StacElevation | EarthEngineElevation | OwnService, Field(discriminator="service")] | None = None
    ndvi: Annotated[StacNdvi | EarthEngineNdvi | OwnService, Field(discriminator="service")] | None = None
    soil: Annotated[SsurgoSoil | SoilGridsSoil | PolarisSoil | OwnService, Field(discriminator="service")] | None = None
    weather: Annotated[NoaaWeather | OwnService, Field(discriminator="service")] | None = None
