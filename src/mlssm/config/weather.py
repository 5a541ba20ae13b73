"""The weather."""

from __future__ import annotations

from pydantic import Field

from mlssm.config.base import Positive, Strict


class WeatherConfig(Strict):
    """Station quality, windows and interpolation."""

    neighbours: int = Field(ge=1)
    power: float = Positive
    min_coverage: float = Field(gt=0, le=1)
