"""The model."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mlssm.config.base import Strict


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
