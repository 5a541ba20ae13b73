"""The weather."""

from __future__ import annotations

from pydantic import Field

from mlssm.config.base import Positive, Strict


class WeatherConfig(Strict):
    """Station quality, windows and interpolation.

    Attributes:
        neighbours: Stations that a pixel's weather is interpolated from.
        power: Of the inverse distance.
        min_coverage: Share of a window's days that a station must have.
        bridge_days: Days without a quantity at any station that are drawn from the days around; rain never is.
    """

    neighbours: int = Field(ge=1)
    power: float = Positive
    min_coverage: float = Field(gt=0, le=1)
    bridge_days: int = Field(default=0, ge=0, le=7)
