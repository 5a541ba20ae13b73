"""The whole of `predict.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlssm.config.base import Strict
from mlssm.config.tracking import TrackingConfig


class PredictConfig(Strict):
    """Everything that `predict.py` is told."""

    run: str = Field(min_length=1)
    dates: tuple[str, ...] | str
    output: Path
    root: Path | None
    cubes: Path | None = None
    layers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tile: int = Field(ge=16)
    overlap: int = Field(ge=0)
    accelerator: str
    tracking: TrackingConfig
    on_bad_file: Literal["error", "skip"]

    @field_validator("layers", mode="before")
    @classmethod
    def _no_layers_are_none(cls, values: Any) -> Any:
        return {} if values is None else values

    @field_validator("dates", mode="before")
    @classmethod
    def _dates_are_text(cls, dates: Any) -> Any:
        parts = [dates] if isinstance(dates, str) else dates
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError("write dates as '[2023-01-01,2023-01-02]' or 2023-01-01/2023-01-31")
        return dates

    @model_validator(mode="after")
    def _overlap_is_smaller_than_tile(self) -> Self:
        if self.overlap >= self.tile:
            raise ValueError(f"overlap={self.overlap} is not allowed with tile={self.tile}: set 0 <= overlap < tile")
        return self
