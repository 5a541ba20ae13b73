"""The whole of `predict.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlssm.config.base import Strict
from mlssm.config.tracking import TrackingConfig


class PredictConfig(Strict):
    """Everything that `predict.py` is told."""

    run: str = Field(min_length=1)
    dates: tuple[str, ...] | str
    output: Path
    level: float = Field(default=0.9, gt=0, lt=1)
    thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    intervals: Literal["calibrated", "conservative", "none"] = "calibrated"
    root: Path | None
    cubes: Path | None = None
    tile: int = Field(ge=16)
    overlap: int = Field(ge=0)
    accelerator: str
    tracking: TrackingConfig
    on_bad_file: Literal["error", "skip"]

    @field_validator("dates", mode="before")
    @classmethod
    def _dates_are_text(cls, dates: Any) -> Any:
        parts = [dates] if isinstance(dates, str) else dates
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError("write dates as '[2023-01-01,2023-01-02]' or 2023-01-01/2023-01-31")
        return dates

    @field_validator("thresholds")
    @classmethod
    def _thresholds_differ(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(thresholds)) < len(thresholds):
            raise ValueError("a threshold is given twice; name each once")
        return thresholds

    @model_validator(mode="after")
    def _overlap_is_smaller_than_tile(self) -> Self:
        if self.overlap >= self.tile:
            raise ValueError(f"overlap={self.overlap} is not allowed with tile={self.tile}: set 0 <= overlap < tile")
        return self
