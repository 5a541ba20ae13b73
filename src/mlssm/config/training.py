"""Loss and optimiser."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from mlssm.config.base import Positive, Strict
from mlssm.config.dotted import imported

BUILT_IN = ("huber", "mse", "balanced_mse", "nll")


class LossConfig(Strict):
    """The training loss, in SSM units.

    Attributes:
        name: One of ours, or the name of an own one, which tables and runs show.
        delta: Of `huber`: the error at which it turns from squared to linear.
        noise: Of `balanced_mse`: standard deviation of the error that is assumed.
        learn_noise: Of `balanced_mse`: whether that is fitted along with the weights.
        weigh_labels: Whether a label weighs as much as it is reliable.
        function: Of an own loss, where its function is, e.g. `my_package.losses.pinball`, see
            `mlssm.training.losses.PixelLoss`.
        settings: Numbers that the function is given by name.
        spread: Whether an own loss learns by the spread that a network states.
    """

    name: str = Field(min_length=1)
    delta: float = Field(default=0.1, gt=0)
    noise: float = Field(default=0.1, gt=0)
    learn_noise: bool = False
    weigh_labels: bool = False
    function: str | None = None
    settings: dict[str, float] = Field(default_factory=dict)
    spread: bool = False

    @model_validator(mode="after")
    def _is_ours_or_says_where_it_is(self) -> Self:
        if self.function is None:
            if self.name not in BUILT_IN:
                known = ", ".join(BUILT_IN)
                raise ValueError(f"loss.name={self.name} is none of {known}; an own loss says where its 'function' is")
            if self.settings or self.spread:
                raise ValueError("loss.settings and loss.spread are of an own loss, which has a 'function'")
        elif self.name in BUILT_IN:
            raise ValueError(f"loss.name={self.name} is a loss that there is; give an own one another name")
        elif not callable(imported("loss.function", self.function, "my_package.losses.pinball")):
            raise ValueError(f"loss.function={self.function} is no function")
        return self

    @model_validator(mode="after")
    def _nll_weighs_labels_itself(self) -> Self:
        if self.weigh_labels and self.name == "nll":
            raise ValueError("loss.weigh_labels=true goes with any loss but nll, which knows the labels' error")
        return self

    @property
    def needs_spread(self) -> bool:
        """Whether it learns by the spread that a network states."""
        return self.name == "nll" or self.spread


class OptimiserConfig(Strict):
    """AdamW, the training's length, and how much of it a killed process can lose."""

    learning_rate: float = Positive
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(ge=1)
    patience: int = Field(ge=1)
    workers: int = Field(ge=0)
    checkpoint_steps: int | None = Field(default=None, ge=1)
