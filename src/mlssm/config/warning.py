"""The warning layer's thresholds: the user's own, since those of one region do not hold in another."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from mlssm.config.base import Strict

Probability = Annotated[float, Field(gt=0, lt=1)]
Degrees = Annotated[float, Field(ge=0, lt=90)]
Millimetres = Annotated[float, Field(ge=0)]


class WarningConfig(Strict):
    """What a pixel must pass for the levels 1, 2 and 3, each condition by itself.

    Attributes:
        ssm: Relative soil moisture above which ground is wet; one of `thresholds`.
        probability: Of being above it, 0..1: more than so much.
        slope_deg: Slope of the terrain, degrees: as much or more.
        rain_mm: Rain over the last days, mm: as much or more; 0 asks for none.
        rain_days: These days.
    """

    ssm: Probability
    probability: tuple[Probability, Probability, Probability]
    slope_deg: tuple[Degrees, Degrees, Degrees]
    rain_mm: tuple[Millimetres, Millimetres, Millimetres]
    rain_days: int = Field(ge=1, le=366)

    @model_validator(mode="after")
    def _levels_rise(self) -> Self:
        for name in ("probability", "slope_deg", "rain_mm"):
            values = getattr(self, name)
            if any(high < low for low, high in pairwise(values)):
                shown = ", ".join(f"{value:g}" for value in values)
                raise ValueError(f"{name} falls from one level to the next ([{shown}]); give it from low to high")
        return self
