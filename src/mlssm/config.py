"""The whole configuration, typed once from Hydra's composition and passed on typed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlssm.errors import ConfigError

Positive = Field(gt=0)
C = TypeVar("C", bound="Strict")


class Strict(BaseModel):
    """Base of every section: immutable; unknown keys, infinity and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BackscatterConfig(Strict):
    """Where the backscatter images are and what their names and values mean."""

    folder: str
    pattern: str
    units: Literal["linear", "dB"]
    looks: float | None = Field(gt=0)
    incidence_pattern: str | None


class GridConfig(Strict):
    """The one grid that everything is warped onto; what is null is taken from the backscatter images."""

    crs: str | None
    resolution_m: float | None = Field(gt=0)


class SimulationConfig(Strict):
    """The simulated watershed; see `mlssm.simulation`."""

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
    """An area: its folder and the sources in it. A source that is null is left out."""

    name: Literal["simulated", "opera_rtc", "geotiff"]
    root: Path
    cubes: Path
    grid: GridConfig
    backscatter: BackscatterConfig
    weather: str
    dem: str | None
    soil: str | None
    ndvi: str | None
    ndvi_pattern: str
    time_zone: str | None
    simulation: SimulationConfig | None

    @model_validator(mode="after")
    def _simulation_belongs_to_simulated(self) -> Self:
        if (self.simulation is not None) != (self.name == "simulated"):
            raise ValueError("'simulation' is set for datamodule=simulated and for no other")
        return self


class RetrievalConfig(Strict):
    """Change detection: from backscatter to labels."""

    polarisation: str
    multilook_m: float = Field(ge=0)
    multilook: Literal["block", "moving"]
    min_valid_fraction: float = Field(gt=0, le=1)
    dry_percentile: float = Field(ge=0, lt=50)
    wet_percentile: float = Field(gt=50, le=100)
    per_orbit: bool
    incidence_slope: bool
    min_dates: int = Field(ge=2)
    min_sensitivity_db: float = Field(ge=0)
    water_below_db: float
    frozen_below_c: float
    snow_above_mm: float = Field(ge=0)


class WeatherConfig(Strict):
    """Station quality, windows and interpolation."""

    neighbours: int = Field(ge=1)
    power: float = Positive
    min_coverage: float = Field(gt=0, le=1)


class FeaturesConfig(Strict):
    """What the model sees, and what happens where a value is missing."""

    dynamic: tuple[Literal["precipitation", "evapotranspiration", "temperature", "vapour_pressure", "wind"], ...] = (
        Field(min_length=1)
    )
    static: tuple[Literal["elevation", "slope", "soil", "ndvi"], ...]
    on_missing: Literal["fill", "drop"]


class PatchesConfig(Strict):
    """The patch index: a regular grid, and a denser one where it is wet."""

    size: int = Field(ge=1)
    dense_stride: int = Field(ge=1)
    min_valid_fraction: float = Field(gt=0, le=1)
    high_ssm: float = Field(ge=0, le=1)
    min_high_fraction: float = Field(ge=0, le=1)


class SplitConfig(Strict):
    """Which dates and places are for training, validation and test."""

    name: Literal["by_date", "by_season", "by_block", "by_season_and_block", "random_patch"]
    test: tuple[dt.date | int, ...] | None = None
    val: tuple[dt.date | int, ...] | None = None
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    val_fraction: float = Field(default=0.15, gt=0, lt=1)
    start_month: int = Field(default=9, ge=1, le=12)
    block_m: float = Field(default=3000, gt=0)
    buffer_m: float = Field(default=500, ge=0)
    seed: int = 0


class SamplerConfig(Strict):
    """How training patches are drawn, and whether the loss undoes it; only the training split is ever rebalanced."""

    name: Literal["natural", "two_pass", "stratified", "density"]
    reweight: bool = False
    draws: int | None = Field(default=None, ge=1)
    replacement: bool = True
    bins: int = Field(default=10, ge=2, le=100)
    weighting: Literal["dense_weight", "lds"] = "dense_weight"
    alpha: float = Field(default=1.0, ge=0)
    bandwidth: float = Field(default=0.05, gt=0, le=1)


class ModelConfig(Strict):
    """The ConvLSTM, and the antecedent window that it is fed with."""

    lag: int = Field(ge=1, le=366)
    window: Literal["sequence", "aggregate"]
    hidden: tuple[int, ...] = Field(min_length=1)
    kernel: int = Field(ge=1)
    peepholes: bool
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _kernel_is_odd(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even; an odd one keeps the size of the map")
        return self


class LossConfig(Strict):
    """The training loss, in SSM units."""

    name: Literal["huber", "mse", "balanced_mse", "nll"]
    delta: float = Field(default=0.1, gt=0)
    noise: float = Field(default=0.1, gt=0)
    learn_noise: bool = False


class OptimiserConfig(Strict):
    """AdamW, the training's length, and how much of it a killed process can lose."""

    learning_rate: float = Positive
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(ge=1)
    patience: int = Field(ge=1)
    workers: int = Field(ge=0)
    checkpoint_steps: int | None = Field(default=None, ge=1)


class EvaluationConfig(Strict):
    """What a trained network is scored on, beside what."""

    wet_thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    block_m: float = Positive
    draws: int = Field(ge=100)
    level: float = Field(gt=0.5, lt=1)
    two_pass: bool
    controls: tuple[Literal["no_weather", "shuffle_space"], ...]


class TrackingConfig(Strict):
    """Where runs are kept. `uri` null: MLFLOW_TRACKING_URI, or SQLite under `folder`."""

    experiment: str = Field(min_length=1)
    folder: Path
    uri: str | None
    run_name: str | None
    system_metrics_s: float | None = Field(default=None, gt=0)


class SweepConfig(Strict):
    """What a sweep does with what an earlier one, killed or failed in part, has done already."""

    resume: bool


class TrainConfig(Strict):
    """Everything that `train.py` is told."""

    datamodule: DatamoduleConfig
    retrieval: RetrievalConfig
    weather: WeatherConfig
    features: FeaturesConfig
    patches: PatchesConfig
    split: SplitConfig
    sampler: SamplerConfig
    model: ModelConfig
    loss: LossConfig
    optimiser: OptimiserConfig
    trainer: dict[str, Any]
    evaluation: EvaluationConfig
    tracking: TrackingConfig
    sweep: SweepConfig
    resume: str | None
    fork: str | None
    warm_start: str | None
    trial: dict[str, Any] | None
    ssm_bins: int = Field(ge=2, le=100)
    control: Literal["none", "no_weather", "shuffle_space"]
    comparison: Literal["children", "paper_table", "leakage"]
    protocol: Literal["held_out", "paper"]
    on_bad_file: Literal["error", "skip"]
    seed: int = Field(ge=0)
    seeds: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _starts_from_one_run(self) -> Self:
        given = [verb for verb in ("resume", "fork", "warm_start") if getattr(self, verb) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give one of them")
        return self

    @model_validator(mode="before")
    @classmethod
    def _leakage_holds_out_seasons_by_season(cls, values: Any) -> Any:
        """The experiment names its seasons once for all splits, and some of them know no seasons."""
        split = values.get("split") if isinstance(values, Mapping) else None
        if not isinstance(split, Mapping) or values.get("comparison") != "leakage":
            return values
        if str(split.get("name")).startswith("by_season"):
            return values
        return {**values, "split": {**split, "test": None, "val": None}}


class PredictConfig(Strict):
    """Everything that `predict.py` is told."""

    run: str = Field(min_length=1)
    dates: tuple[str, ...] | str
    output: Path
    root: Path | None
    tile: int = Field(ge=16)
    overlap: int = Field(ge=0)
    accelerator: str
    tracking: TrackingConfig
    on_bad_file: Literal["error", "skip"]

    @field_validator("dates", mode="before")
    @classmethod
    def _dates_are_text(cls, dates: Any) -> Any:
        parts = [dates] if isinstance(dates, str) else dates
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError("write dates as '[2023-01-01,2023-01-02]' or 2023-01-01/2023-01-31")
        return dates

    @model_validator(mode="after")
    def _overlap_is_smaller_than_tile(self) -> Self:
        if self.overlap >= self.tile:
            raise ValueError(f"overlap={self.overlap} is not allowed with tile={self.tile}: set 0 <= overlap < tile")
        return self


def parse(schema: type[C], values: Mapping[str, Any]) -> C:
    """Check a resolved configuration and type it.

    Args:
        schema: The section to check against.
        values: The resolved configuration as plain containers.

    Returns:
        The typed configuration.

    Raises:
        ConfigError: A key is unknown or missing, or a value is not allowed; the message names key and value.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_descriptions(values, error)[:3])) from None


def _descriptions(values: Mapping[str, Any], error: ValidationError) -> list[str]:
    """One sentence a key; a key that fits none of several types has all their messages."""
    messages: dict[str, list[str]] = {}
    for item in error.errors():
        start, message = _describe(values, dict(item))
        messages.setdefault(start, []).append(message)
    return [start + " or ".join(dict.fromkeys(found)) for start, found in messages.items()]


def _describe(values: Mapping[str, Any], item: dict[str, Any]) -> tuple[str, str]:
    if item["type"] == "extra_forbidden":
        return f"unknown configuration key '{_dotted(item['loc'])}'", ""
    if item["type"] == "missing":
        return f"configuration key '{_dotted(item['loc'])}' is missing", ""
    key, message = _dotted(_there(values, item["loc"])), item["msg"].removeprefix("Value error, ")
    if isinstance(item["input"], Mapping):
        return (f"{key}: " if key else ""), message
    return f"{key}={item['input']!r} is not allowed: ", message


def _dotted(location: Iterable[object]) -> str:
    return ".".join(map(str, location))


def _there(values: Any, location: Sequence[str | int]) -> list[str | int]:
    """The part of a location that the user's values have: of a key with several types, it also names the type."""
    found: list[str | int] = []
    for part in location:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            break
        found.append(part)
    return found
