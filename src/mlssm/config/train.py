"""The whole of `train.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasPath, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from mlssm.config.area_file import area_layers
from mlssm.config.base import Strict
from mlssm.config.dask import DaskConfig
from mlssm.config.data import FeaturesConfig, SamplerConfig
from mlssm.config.datamodule import DatamoduleConfig, DayRange
from mlssm.config.evaluation import EvaluationConfig
from mlssm.config.layers import refuse_unknown_layers
from mlssm.config.models import ModelSettings, WindowConfig, settings_part, typed_settings, window_part
from mlssm.config.patches import PatchesConfig, SplitConfig
from mlssm.config.retrieval import RetrievalConfig
from mlssm.config.tracking import TrackingConfig
from mlssm.config.tracks import TracksConfig
from mlssm.config.training import LossConfig, OptimiserConfig
from mlssm.config.weather import WeatherConfig
from mlssm.variables import of_kind

ALWAYS = ("elevation", "slope")  # of the terrain, in every cube


class SweepConfig(Strict):
    """What a sweep does with what an earlier one, killed or failed in part, has done already."""

    resume: bool


class ResponseConfig(Strict):
    """What `model=response` is made of beside its closed form; a part of its section `model`."""

    residual: Literal["convlstm", "multirate_convlstm", "none"]


class TrainConfig(Strict):
    """Everything that `train.py` is told."""

    datamodule: DatamoduleConfig
    area: str | tuple[float, float, float, float] | None  # which a datamodule that fetches takes from here
    dates: DayRange | None
    retrieval: RetrievalConfig
    weather: WeatherConfig
    features: FeaturesConfig
    response: ResponseConfig
    patches: PatchesConfig
    split: SplitConfig
    sampler: SamplerConfig
    loss: LossConfig
    optimiser: OptimiserConfig
    trainer: dict[str, Any]
    evaluation: EvaluationConfig
    tracks: TracksConfig = Field(default=TracksConfig())
    tracking: TrackingConfig
    dask: DaskConfig = DaskConfig()
    sweep: SweepConfig
    resume: str | None
    fork: str | None
    warm_start: str | None
    trial: dict[str, Any] | None
    ssm_bins: int = Field(ge=2, le=100)
    control: Literal["none", "no_weather", "shuffle_space"]
    # the default is what runs recorded before there was a choice
    task: Literal["train", "tracks", "labels"] = "train"
    comparison: Literal["children", "paper_table", "leakage", "benchmark", "ablation"]
    protocol: Literal["held_out", "paper"]
    on_bad_file: Literal["error", "skip"]
    seed: int = Field(ge=0)
    seeds: int = Field(ge=1, le=100)
    window: WindowConfig = Field(validation_alias=AliasPath("model"))
    model: SerializeAsAny[ModelSettings]  # last: the validator below looks at all others

    @field_validator("window", mode="before")
    @classmethod
    def _window_is_part_of_the_models_section(cls, values: Any) -> Any:
        return window_part(values)

    @field_validator("model", mode="plain")
    @classmethod
    def _model_is_of_its_family(cls, values: Any, info: ValidationInfo) -> Any:
        """Typed by the family's class, whose import is slow: not where something else is refused anyway."""
        others_are_right = len(info.data) == len(cls.model_fields) - 1
        return typed_settings(settings_part(values)) if others_are_right else values

    @model_validator(mode="after")
    def _loss_fits_the_model(self) -> Self:
        if self.loss.needs_spread and not self.model.states_spread:
            raise ValueError(
                f"loss={self.loss.name} learns by the spread that a model states, and {self.model.title} states none; "
                "set another loss, e.g. loss=huber, or another model"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _layers_of_the_areas_folder_count(cls, values: Any) -> Any:
        """What `area.yaml` says of layers is known before the features, which name them; single keys count over it."""
        area = values.get("datamodule") if isinstance(values, Mapping) else None
        if not isinstance(area, Mapping) or not isinstance(area.get("root"), str | Path):
            return values
        said, own = area_layers(Path(area["root"])), area.get("layers") or {}
        if not said or not isinstance(own, Mapping) or not all(isinstance(keys, Mapping) for keys in own.values()):
            return values
        layers = {name: {**said.get(name, {}), **own.get(name, {})} for name in (*said, *own)}
        return {**values, "datamodule": {**area, "layers": layers}}

    @model_validator(mode="before")
    @classmethod
    def _terrain_is_derived_that_is_a_feature(cls, values: Any) -> Any:
        """The area's cube has what the features want of terrain: not all that could be derived."""
        area, features = (
            values.get(key) if isinstance(values, Mapping) else None for key in ("datamodule", "features")
        )
        if not isinstance(area, Mapping) or not isinstance(features, Mapping):
            return values
        wanted = features.get("static")
        derived = [item.name for item in of_kind("fixed") if item.source == "terrain" and item.name not in ALWAYS]
        named = [name for name in derived if isinstance(wanted, list | tuple) and name in wanted]
        terrain = dict.fromkeys([*(area.get("terrain") or ()), *named])
        return {**values, "datamodule": {**area, "terrain": tuple(terrain)}} if terrain else values

    @model_validator(mode="after")
    def _layers_are_those_of_the_area(self) -> Self:
        refuse_unknown_layers(self.features.static, self.datamodule.layers)
        return self

    @model_validator(mode="after")
    def _points_are_for_tracks(self) -> Self:
        if (self.datamodule.name == "points") != (self.task == "tracks"):
            raise ValueError(
                f"task={self.task} and datamodule={self.datamodule.name} do not go together: tracks are compared on "
                "point tables, by +experiment=tracks datamodule.root=FOLDER, and nothing else is made of these"
            )
        return self

    @model_validator(mode="after")
    def _area_and_dates_are_of_a_datamodule_that_fetches(self) -> Self:
        given = [key for key in ("area", "dates") if getattr(self, key) is not None]
        if given and self.datamodule.origin is None:
            raise ValueError(f"'{given[0]}' is for an area that is fetched: set datamodule=stac, opera or earth_engine")
        return self

    @model_validator(mode="after")
    def _starts_from_one_run(self) -> Self:
        given = [verb for verb in ("resume", "fork", "warm_start") if getattr(self, verb) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give one of them")
        if given and self.task != "train":
            raise ValueError(f"task={self.task} trains nothing, so that {given[0]} has no meaning; leave it out")
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
