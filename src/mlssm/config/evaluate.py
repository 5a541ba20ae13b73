"""The whole of `evaluate.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mlssm.config.base import Strict
from mlssm.config.datamodule import DayRange
from mlssm.config.of_run import OfRun

DEEPEST_M = 10.0


class GroundTableConfig(Strict):
    """The columns of plain tables of soil moisture, a row a measurement.

    Attributes:
        station: Column of the station's name.
        longitude: Column of degrees east.
        latitude: Column of degrees north.
        date: Column of the local day, or of a time.
        depth: Column of the sensor's depth; null: it is `depth_m`.
        depth_unit: Of that column.
        depth_m: Of all sensors, metres, where there is no column.
        moisture: Column of the soil moisture.
        units: Of the soil moisture; null: a column `unit` or `units` says it.
        temperature: Column of the soil's temperature, degC; null: none.
        flag: Column of quality flags; null: all values are good.
        good: The flags of values that count.
        sensor: Column that tells several sensors of one depth apart; null: each station and depth has one.
        time_zone: Of times without one.
    """

    station: str
    longitude: str
    latitude: str
    date: str
    depth: str | None
    depth_unit: Literal["m", "cm"]
    depth_m: float | None = Field(ge=0, le=DEEPEST_M)
    moisture: str
    units: Literal["m3/m3", "%"] | None
    temperature: str | None
    flag: str | None
    good: tuple[str, ...]
    sensor: str | None
    time_zone: str

    @field_validator("good", mode="before")
    @classmethod
    def _flags_are_text(cls, flags: Any) -> Any:
        return tuple(map(str, flags)) if isinstance(flags, list | tuple) else flags

    @model_validator(mode="after")
    def _depth_is_told_once(self) -> GroundTableConfig:
        if (self.depth is None) == (self.depth_m is None):
            raise ValueError("the sensors' depth is told by a column or for all: set one of csv.depth and csv.depth_m")
        if self.flag is not None and not self.good:
            raise ValueError("csv.flag is set and csv.good names no flag, so that no value would count")
        return self


class EvaluateConfig(OfRun):
    """Everything that `evaluate.py` is told.

    Attributes:
        insitu: Folder or file of what was measured in the ground.
        dates: First and last day; null: all that were measured and that the weather reaches.
        depth_m: Sensors between these depths, metres, count.
        scaling: How maps are brought to a station's units before ubRMSD.
        anomaly_days: Anomalies are what is left of a running mean over so many days.
        block_days: Days that the bootstrap draws together, as neighbouring ones are alike.
        least_days: A station with fewer days is named and has no scores.
        least_images: The same of days of images, which are fewer.
        draws: Of the bootstrap.
        level: Of its intervals.
        interval: Share of labels that the drawn intervals of the model are to hold.
        reach: Pixels around a station's that the network is shown.
        seed: Of the bootstrap.
    """

    insitu: Path
    dates: DayRange | None
    depth_m: tuple[float, float]
    scaling: Literal["mean_std", "cdf"]
    anomaly_days: int = Field(ge=5, le=400)
    block_days: int = Field(ge=1, le=400)
    least_days: int = Field(ge=10)
    least_images: int = Field(ge=10)
    draws: int = Field(ge=100)
    level: float = Field(gt=0.5, lt=1)
    interval: float = Field(gt=0, lt=1)
    reach: int = Field(ge=0, le=256)
    csv: GroundTableConfig
    seed: int = Field(ge=0)

    @field_validator("depth_m")
    @classmethod
    def _deeper_is_larger(cls, depth: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= depth[0] <= depth[1] <= DEEPEST_M:
            raise ValueError(f"give the shallowest and the deepest depth in metres, 0 to {DEEPEST_M:g}: [0, 0.05]")
        return depth
