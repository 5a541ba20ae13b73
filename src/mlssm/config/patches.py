"""Splits and the patch index."""

from __future__ import annotations

import datetime as dt
from typing import Literal, Self

from pydantic import Field, model_validator

from mlssm.config.base import Strict


class PatchesConfig(Strict):
    """The patch index: a regular grid, and a denser one where it is wet."""

    size: int = Field(ge=1)
    dense_stride: int = Field(ge=1)
    min_valid_fraction: float = Field(gt=0, le=1)
    high_ssm: float = Field(ge=0, le=1)
    min_high_fraction: float = Field(ge=0, le=1)


SEASONAL = ("by_season", "by_season_and_block")
EACH_SEASON = "leave_one_season_out"


class SplitConfig(Strict):
    """Which dates and places are for training, validation and test.

    Attributes:
        name: What is held out.
        inner: What choices are made by: `none`, the validation split; `seasons`, training seasons that are held out in
            turn, so that none is given away to validation.
    """

    name: Literal["by_date", "by_season", "by_block", "by_season_and_block", "random_patch", "leave_one_season_out"]
    inner: Literal["none", "seasons"] = "none"
    test: tuple[dt.date | int, ...] | None = None
    val: tuple[dt.date | int, ...] | None = None
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    val_fraction: float = Field(default=0.15, gt=0, lt=1)
    start_month: int = Field(default=9, ge=1, le=12)
    block_m: float = Field(default=3000, gt=0)
    buffer_m: float = Field(default=500, ge=0)
    seed: int = 0

    @property
    def by_inner_seasons(self) -> bool:
        """Whether training seasons that are held out in turn choose."""
        return self.inner == "seasons"

    @property
    def each_season(self) -> bool:
        """Whether each season is the test season in turn."""
        return self.name == EACH_SEASON

    @model_validator(mode="after")
    def _seasons_are_held_out_once(self) -> Self:
        if self.each_season and (self.test is not None or self.val is not None):
            raise ValueError(
                f"split={EACH_SEASON} tests on each season in turn; remove split.test and split.val, or set "
                "split=by_season"
            )
        if self.by_inner_seasons and self.name not in (*SEASONAL, EACH_SEASON):
            raise ValueError(
                f"split.inner=seasons holds out training seasons, and split={self.name} knows none; "
                "set split=by_season, or remove split.inner"
            )
        if self.by_inner_seasons and self.val is not None:
            raise ValueError(
                "split.inner=seasons gives no season away to validation; remove split.val, or set split.inner=none"
            )
        return self
