"""The whole of `train.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mlssm.config.base import Strict
from mlssm.config.data import FeaturesConfig, SamplerConfig
from mlssm.config.datamodule import DatamoduleConfig
from mlssm.config.evaluation import EvaluationConfig
from mlssm.config.models import ModelConfig
from mlssm.config.patches import PatchesConfig, SplitConfig
from mlssm.config.retrieval import RetrievalConfig
from mlssm.config.tracking import TrackingConfig
from mlssm.config.training import LossConfig, OptimiserConfig
from mlssm.config.weather import WeatherConfig


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
