"""Where runs are kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from mlssm.config.base import Strict


class TrackingConfig(Strict):
    """Where runs are kept. `uri` null: MLFLOW_TRACKING_URI, or SQLite under `folder`."""

    experiment: str = Field(min_length=1)
    folder: Path
    uri: str | None
    run_name: str | None
    system_metrics_s: float | None = Field(default=None, gt=0)
