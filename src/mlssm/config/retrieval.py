"""Change detection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlssm.config.base import Strict


class ImagesConfig(Strict):
    """How images become backscatter on the working grid, and what of it is masked: all that a map needs of them."""

    polarisation: str
    multilook_m: float = Field(ge=0)
    multilook: Literal["block", "moving"]
    min_valid_fraction: float = Field(gt=0, le=1)
    water_below_db: float
    frozen_below_c: float
    snow_above_mm: float = Field(ge=0)


class RetrievalConfig(ImagesConfig):
    """Change detection: from backscatter to labels."""

    dry_percentile: float = Field(ge=0, lt=50)
    wet_percentile: float = Field(gt=50, le=100)
    per_orbit: bool
    incidence_slope: bool
    min_dates: int = Field(ge=2)
    min_sensitivity_db: float = Field(ge=0)
