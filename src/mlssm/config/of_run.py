"""What all programs are told that take up a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from mlssm.config.base import Strict
from mlssm.config.dask import DaskConfig
from mlssm.config.tracking import TrackingConfig


class OfRun(Strict):
    """Which run, on which area, and where it is worked on.

    Attributes:
        run: As it is written on the command line, see `mlssm.tracking.reference`.
        root: Folder of another area; null: that which the run was trained on.
        cubes: Folder of the area's cube; null: the model's.
        layers: Keys of the model's layers that are other here.
        accelerator: auto, cpu, gpu or mps.
        tracking: Where runs are kept.
        dask: Where blocks of the area are worked on.
        on_bad_file: What a bad file does.
    """

    run: str = Field(min_length=1)
    root: Path | None
    cubes: Path | None = None
    layers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    accelerator: str
    tracking: TrackingConfig
    dask: DaskConfig = DaskConfig()
    on_bad_file: Literal["error", "skip"]

    @field_validator("layers", mode="before")
    @classmethod
    def _no_layers_are_none(cls, values: Any) -> Any:
        return {} if values is None else values
