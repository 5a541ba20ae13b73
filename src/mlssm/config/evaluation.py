"""What a trained model is scored on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlssm.config.base import Positive, Strict


class WhyConfig(Strict):
    """What a trained network is asked of the inputs that it goes by.

    Attributes:
        permutation: Importance by permutation of whole dates and places.
        gradients: Integrated gradients, by driver and day and as maps; needs captum.
        patches: Of the test split, that are looked at.
        repeats: Permutations that are averaged.
        steps: Of the path of integrated gradients.
    """

    permutation: bool
    gradients: bool
    patches: int = Field(default=100, ge=20)
    repeats: int = Field(default=1, ge=1, le=100)
    steps: int = Field(default=32, ge=8, le=1000)


class EvaluationConfig(Strict):
    """What a trained network is scored on, beside what."""

    wet_thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    block_m: float = Positive
    draws: int = Field(ge=100)
    level: float = Field(gt=0.5, lt=1)
    two_pass: bool
    controls: tuple[Literal["no_weather", "shuffle_space"], ...]
    # the default is what runs recorded before there was a choice
    why: WhyConfig = WhyConfig(permutation=False, gradients=False)
