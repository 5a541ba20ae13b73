"""Change detection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mlssm.config.base import Strict


def channel_title(channel: Mapping[str, float]) -> str:
    """What a channel is called: VV, or 0.7 VV + 0.3 VH."""
    if len(channel) == 1:
        return next(iter(channel))
    return " + ".join(f"{weight:g} {name}" for name, weight in channel.items())


class ImagesConfig(Strict):
    """How images become backscatter on the working grid, and what of it is masked: all that a map needs of them."""

    channel: dict[str, float]
    multilook_m: float = Field(ge=0)
    multilook: Literal["block", "moving"]
    min_valid_fraction: float = Field(gt=0, le=1)
    water_below_db: float
    frozen_below_c: float
    snow_above_mm: float = Field(ge=0)
    wet_canopy_above_mm: float | None = Field(default=None, gt=0)
    platform_offsets_db: dict[str, float] = Field(default={})

    @property
    def polarisation(self) -> str:
        """The polarisation that weighs most; of equal ones the first."""
        return max(self.channel, key=lambda name: self.channel[name])

    def of_polarisation(self, polarisation: str) -> ImagesConfig:
        """The same with one polarisation alone."""
        return self.model_copy(update={"channel": {polarisation: 1.0}})

    @model_validator(mode="before")
    @classmethod
    def _polarisation_is_a_channel_of_one(cls, values: Any) -> Any:
        """`polarisation: VV` is short for `channel: {VV: 1}`; earlier versions knew nothing else."""
        if not isinstance(values, Mapping):
            return values
        others = {key: value for key, value in values.items() if key != "polarisation"}
        alone = values.get("polarisation")
        return others if alone is None else {**others, "channel": {alone: 1.0}}

    @field_validator("channel", mode="after")
    @classmethod
    def _weights_share_one(cls, channel: dict[str, float]) -> dict[str, float]:
        """Those above 0."""
        total = sum(channel.values())
        if min(channel.values(), default=-1.0) < 0 or abs(total - 1) > 1e-6:
            raise ValueError(
                f"the weights are to be 0 or more and to sum to 1, not {total:g}; a polarisation that is not named "
                "keeps its weight, so give all of them, {VV: 1, VH: 0}, or one alone: retrieval.polarisation=VV"
            )
        return {name: weight for name, weight in channel.items() if weight > 0}

    @field_validator("platform_offsets_db", mode="after")
    @classmethod
    def _offsets_are_not_0(cls, offsets: dict[str, float]) -> dict[str, float]:
        """Those that change anything."""
        return {name: offset for name, offset in offsets.items() if offset}


class RetrievalConfig(ImagesConfig):
    """Change detection: from backscatter to labels."""

    dry_percentile: float = Field(ge=0, lt=50)
    wet_percentile: float = Field(gt=50, le=100)
    per_orbit: bool
    per_time_of_day: bool = False
    incidence_slope: bool
    min_dates: int = Field(ge=2)
    min_sensitivity_db: float = Field(ge=0)
    # the defaults are what runs recorded before there was a choice
    min_sensitivity_speckle: float = Field(default=0.0, ge=0)
    double_bounce_above_db: float | None = None
    forest_above_db: float | None = None
    layover_shadow: bool = False
    edge_below_db: float | None = Field(default=None, gt=0)
