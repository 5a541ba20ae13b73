"""What a trained model is scored on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlssm.config.base import Positive, Strict


class EvaluationConfig(Strict):
    """What a trained network is scored on, beside what."""

    wet_thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    block_m: float = Positive
    draws: int = Field(ge=100)
    level: float = Field(gt=0.5, lt=1)
    two_pass: bool
    controls: tuple[Literal["no_weather", "shuffle_space"], ...]
