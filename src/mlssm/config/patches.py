"""Splits and the patch index."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from mlssm.config.base import Strict


class PatchesConfig(Strict):
    """The patch index: a regular grid, and a denser one where it is wet."""

    size: int = Field(ge=1)
    dense_stride: int = Field(ge=1)
    min_valid_fraction: float = Field(gt=0, le=1)
    high_ssm: float = Field(ge=0, le=1)
    min_high_fraction: float = Field(ge=0, le=1)


class SplitConfig(Strict):
    """Which dates and places are for training, validation and test."""

    name: Literal["by_date", "by_season", "by_block", "by_season_and_block", "random_patch"]
    test: tuple[dt.date | int, ...] | None = None
    val: tuple[dt.date | int, ...] | None = None
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    val_fraction: float = Field(default=0.15, gt=0, lt=1)
    start_month: int = Field(default=9, ge=1, le=12)
    block_m: float = Field(default=3000, gt=0)
    buffer_m: float = Field(default=500, ge=0)
    seed: int = 0
