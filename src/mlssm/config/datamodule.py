"""The area and its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlssm.config.backscatter import BackscatterConfig
from mlssm.config.base import Positive, Strict
from mlssm.config.layers import LayerSource, declare_layers
from mlssm.config.sources import ElevationSource, NdviSource, SoilSource
from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError


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
    """

    name: Literal["simulated", "opera_rtc", "geotiff"]
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
        if self.simulation is None and not self.root.is_dir():
            raise DataError(f"datamodule.root={self.root} is not a folder; set it to the area's folder")
