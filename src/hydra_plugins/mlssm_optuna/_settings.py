"""The keys of `hydra.sweeper`, typed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mlssm.config import Strict, parse
from mlssm.errors import ConfigError


class Pruning(Strict):
    """When a trial may be stopped; epochs count from 1."""

    startup_trials: int = Field(ge=0)
    warmup_epochs: int = Field(ge=0)
    interval_epochs: int = Field(ge=1)
    min_epochs: int = Field(ge=1)
    max_epochs: int = Field(ge=1)
    reduction_factor: int = Field(ge=2)


class Settings(Strict):
    """What a search is told; `conf/hydra/sweeper/optuna.yaml` says what each key means."""

    study_name: str | None
    storage: str = Field(min_length=1)
    n_trials: int = Field(ge=1)
    n_jobs: int = Field(ge=1)
    sampler: Literal["tpe", "random", "cmaes", "nsga2", "grid"]
    startup_trials: int = Field(ge=1)
    population: int = Field(ge=2)
    seed: int = Field(ge=0)
    objectives: tuple[str, ...] = Field(min_length=1)
    pruner: Literal["none", "median", "hyperband"]
    pruning: Pruning
    heartbeat_s: int = Field(ge=1)
    grace_s: int = Field(ge=1)
    max_retries: int = Field(ge=0)
    champion: bool
    params: dict[str, Any]

    @model_validator(mode="after")
    def _objectives_are_known(self) -> Self:
        known = objective_names()
        for name in self.objectives:
            if name not in known:
                raise ValueError(f"unknown objective {name!r}; choose from {', '.join(known)}")
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError("an objective is named twice")
        return self

    @model_validator(mode="after")
    def _a_sign_comes_within_the_grace(self) -> Self:
        if self.grace_s <= self.heartbeat_s:
            raise ValueError(f"grace_s={self.grace_s} must be above heartbeat_s={self.heartbeat_s}")
        return self

    @model_validator(mode="after")
    def _one_objective_where_it_must_be(self) -> Self:
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(f"pruner={self.pruner} knows one objective; set pruner=none or name one objective")
        if len(self.objectives) > 1 and self.sampler == "cmaes":
            raise ValueError("sampler=cmaes knows one objective; choose nsga2, tpe, random or grid")
        return self


def objective_names() -> list[str]:
    """What a training comes to that can be minimised."""
    from mlssm.jobs.outcome import Outcome

    return [item.name for item in dataclasses.fields(Outcome) if item.type == "float"]


def read_settings(values: Mapping[str, Any]) -> Settings:
    """Check the keys of `hydra.sweeper`.

    Raises:
        ConfigError: A key is unknown or missing, or its value is not allowed.
    """
    try:
        return parse(Settings, values)
    except ConfigError as error:
        raise ConfigError(f"hydra.sweeper: {error}") from None
