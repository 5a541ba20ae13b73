"""Where two tracks see the same place: which images are compared, and how."""

from __future__ import annotations

from pydantic import Field

from mlssm.config.base import Strict


class TracksConfig(Strict):
    """The comparison of two tracks' labels; see `mlssm.evaluation.tracks`."""

    most_hours: float = Field(default=37.0, gt=0, le=240)
    water_below_db: float = -15.0
    anomaly_days: float = Field(default=30.0, gt=0)
    strong_db: float = Field(default=5.0, gt=0)
