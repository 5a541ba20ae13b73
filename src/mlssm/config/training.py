"""Loss and optimiser."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mlssm.config.base import Positive, Strict


class LossConfig(Strict):
    """The training loss, in SSM units."""

    name: Literal["huber", "mse", "balanced_mse", "nll"]
    delta: float = Field(default=0.1, gt=0)
    noise: float = Field(default=0.1, gt=0)
    learn_noise: bool = False
    weigh_labels: bool = False

    @model_validator(mode="after")
    def _nll_weighs_labels_itself(self) -> Self:
        if self.weigh_labels and self.name == "nll":
            raise ValueError("loss.weigh_labels=true goes with any loss but nll, which knows the labels' error")
        return self

    @property
    def needs_spread(self) -> bool:
        """Whether it learns by the spread that a network states."""
        return self.name == "nll"


class OptimiserConfig(Strict):
    """AdamW, the training's length, and how much of it a killed process can lose."""

    learning_rate: float = Positive
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(ge=1)
    patience: int = Field(ge=1)
    workers: int = Field(ge=0)
    checkpoint_steps: int | None = Field(default=None, ge=1)
