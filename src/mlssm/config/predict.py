"""The whole of `predict.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlssm.config.base import Positive, Strict
from mlssm.config.of_run import OfRun
from mlssm.config.warning import WarningConfig
from mlssm.config.weather_source import WeatherSource


class ProductsConfig(Strict):
    """What is written beside the maps.

    Attributes:
        viewer: A page that shows the maps day by day.
        stac: A catalogue of them.
        zones: GeoJSON file of polygons or roads; their statistics are written, and the viewer draws them.
        road_width_m: That lines are given.
        netcdf: Days in one file.
        days: How many before and after those asked for are in the page, the statistics and the file, too, where the
            folder has maps of them by the same run and settings.
        lhasa: Each day on the grid of LHASA, 30 arc-seconds.
        uint8: Whether maps are packed into bytes: a quarter of the size, in steps of 0.005.
        root_zone_days: T of the soil water index of the root zone, which is written for each day.
        warning: Thresholds of the warning layer, which is written for each day.
    """

    viewer: bool
    stac: bool
    zones: Path | None
    road_width_m: float = Positive
    netcdf: bool
    lhasa: bool
    days: int = Field(default=31, ge=0)
    uint8: bool = False
    root_zone_days: float | None = Field(gt=0)
    warning: WarningConfig | None = None


StateOfMaps = Literal["window", "carried"]
"""Whether a network's state is begun anew with each map's window, or carried from day to day."""


class PredictConfig(OfRun):
    """Everything that `predict.py` is told.

    `dates` that are null are the last day that the weather reaches; a `state` that is null is the faster one.
    `forecast` is weather that is forecast, in place of the model's own `datamodule.weather.forecast`; null: that one.
    """

    dates: tuple[str, ...] | str | None
    output: Path
    products: ProductsConfig
    level: float = Field(default=0.9, gt=0, lt=1)
    thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    intervals: Literal["calibrated", "conservative", "none"] = "calibrated"
    state: StateOfMaps | None = None
    forecast: WeatherSource | None = None
    tile: int = Field(ge=16)
    overlap: int = Field(ge=0)
    overwrite: bool = False

    @field_validator("dates", mode="before")
    @classmethod
    def _dates_are_text(cls, dates: Any) -> Any:
        if dates is None:
            return None
        parts = [dates] if isinstance(dates, str) else dates
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError("write dates as '[2023-01-01,2023-01-02]' or 2023-01-01/2023-01-31")
        return dates

    @field_validator("forecast")
    @classmethod
    def _no_forecast_of_a_forecast(cls, forecast: WeatherSource | None) -> WeatherSource | None:
        if forecast is not None and forecast.forecast is not None:
            raise ValueError("a forecast has no 'forecast' of its own")
        return forecast

    @field_validator("thresholds")
    @classmethod
    def _thresholds_differ(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(thresholds)) < len(thresholds):
            raise ValueError("a threshold is given twice; name each once")
        return thresholds

    @model_validator(mode="after")
    def _warnings_have_their_probability(self) -> Self:
        rules = self.products.warning
        if rules is None:
            return self
        if self.intervals == "none":
            raise ValueError("products.warning needs probabilities, and intervals=none leaves them out")
        if rules.ssm not in self.thresholds:
            shown = ", ".join(f"{value:g}" for value in (*self.thresholds, rules.ssm))
            raise ValueError(f"products.warning.ssm={rules.ssm:g} is none of thresholds; set thresholds=[{shown}]")
        return self

    @model_validator(mode="after")
    def _overlap_is_smaller_than_tile(self) -> Self:
        if self.overlap >= self.tile:
            raise ValueError(f"overlap={self.overlap} is not allowed with tile={self.tile}: set 0 <= overlap < tile")
        return self
