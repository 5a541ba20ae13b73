"""The area and its sources."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mlssm.config.backscatter import BackscatterConfig
from mlssm.config.base import Positive, Strict
from mlssm.config.layers import LayerSource, declare_layers
from mlssm.config.origins import OriginConfig
from mlssm.config.sources import ElevationSource, NdviSource, SoilSource
from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError


def day_range(dates: str) -> tuple[dt.date, dt.date]:
    """First and last day of `2021-09-01/2024-08-31`.

    Raises:
        ValueError: It is not two days in their order.
    """
    first, slash, last = dates.partition("/")
    try:
        if not slash:
            raise ValueError
        days = dt.date.fromisoformat(first.strip()), dt.date.fromisoformat(last.strip())
    except ValueError:
        raise ValueError("write the first and the last day as 2021-09-01/2024-08-31") from None
    if days[1] < days[0]:
        raise ValueError(f"the last day is before the first; write {days[1]}/{days[0]}")
    return days


def _checked(dates: object) -> str:
    # a year alone is a number to YAML
    day_range(str(dates))
    return str(dates)


DayRange = Annotated[str, BeforeValidator(_checked)]


class GridConfig(Strict):
    """The one grid that everything is warped onto; what is null is taken from the backscatter images."""

    crs: str | None
    resolution_m: float | None = Field(gt=0)


class SimulationConfig(Strict):
    """The simulated watershed; see `mlssm.origins.simulation`."""

    seed: int
    size: int = Field(ge=40, le=4000)
    pixel_m: float = Positive
    first_season: int = Field(ge=2015, le=2100)
    seasons: int = Field(ge=1, le=20)
    revisit_days: int = Field(ge=1, le=48)
    looks: float = Positive
    speckle: bool
    stations: int = Field(ge=1, le=500)
    gap_fraction: float = Field(ge=0, lt=1)
    vegetation_attenuation: float = Field(ge=0, lt=1)
    angle_slope_db_per_deg: float = Field(le=0)


class DatamoduleConfig(Strict):
    """An area: its folder and the sources in it. A source that is null is left out.

    Attributes:
        layers: Further rasters by the names of the features that they become.
        terrain: What is derived from elevation beside the slope; what `features.static` names comes here by itself.
        area: Where an origin fetches files for: a GeoJSON file, or west, south, east, north in degrees.
        dates: First and last day of what it fetches, `2021-09-01/2024-08-31`.
        dry_run: Only say what would be fetched.
        origin: The services that fill the folder; None: the files are there.
    """

    name: Literal["simulated", "opera_rtc", "geotiff", "stac", "opera", "earth_engine", "points", "own"]
    root: Path
    cubes: Path
    grid: GridConfig
    backscatter: BackscatterConfig
    weather: WeatherSource
    dem: ElevationSource | None
    soil: SoilSource | None
    ndvi: NdviSource | None
    ndvi_pattern: str | None
    time_zone: str | None
    simulation: SimulationConfig | None
    layers: dict[str, LayerSource] = Field(default_factory=dict)
    terrain: tuple[str, ...] = ()
    area: str | tuple[float, float, float, float] | None = None
    dates: DayRange | None = None
    dry_run: bool = False
    origin: OriginConfig | None = None

    @model_validator(mode="after")
    def _an_origin_knows_where_and_when(self) -> Self:
        if self.origin is None:
            given = [key for key in ("area", "dates") if getattr(self, key) is not None]
            if given or self.dry_run:
                key = given[0] if given else "dry_run"
                raise ValueError(f"'{key}' is for an area that is fetched: set datamodule=stac, opera or earth_engine")
        elif self.area is None or self.dates is None:
            raise ValueError(
                f"datamodule={self.name} fetches files for a place and its dates: set area=FILE.geojson (or "
                "'area=[west,south,east,north]') and dates=2021-09-01/2024-08-31"
            )
        return self

    @model_validator(mode="after")
    def _simulation_belongs_to_simulated(self) -> Self:
        if (self.simulation is not None) != (self.name == "simulated"):
            raise ValueError("'simulation' is set for datamodule=simulated and for no other")
        return self

    @field_validator("layers", mode="before")
    @classmethod
    def _no_layers_are_none(cls, values: Any) -> Any:
        return {} if values is None else values

    @model_validator(mode="after")
    def _layers_are_features(self) -> Self:
        declare_layers(self.layers)
        return self

    def require_root(self) -> None:
        """Refuse an area whose folder is not there; a simulated one is made.

        Raises:
            DataError: There is no such folder.
        """
        if self.simulation is None and self.origin is None and not self.root.is_dir():
            raise DataError(f"datamodule.root={self.root} is not a folder; set it to the area's folder")
