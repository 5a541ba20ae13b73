"""Features and how training patches are drawn."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mlssm.config.base import Strict
from mlssm.variables import check_feature


def _weather(name: str) -> str:
    return check_feature(name, "daily")


def _static(name: str) -> str:
    return check_feature(name, "fixed", "classes", "dated", "age")


class FeaturesConfig(Strict):
    """What the model sees, and what happens where a value is missing.

    Attributes:
        dynamic: Weather variables.
        static: Terrain, soil, NDVI, and layers of the area by their names.
        on_missing: `fill` with the training mean and an availability channel, or `drop` the pixel or date.
        previous: `none`, a forecast from weather and land alone; or `nowcast`, which also sees how far earlier images
            of the same season and pixel lay off the forecast.
    """

    dynamic: tuple[Annotated[str, AfterValidator(_weather)], ...] = Field(min_length=1)
    static: tuple[Annotated[str, AfterValidator(_static)], ...]
    on_missing: Literal["fill", "drop"]
    previous: Literal["none", "nowcast"] = "none"


class SamplerConfig(Strict):
    """How training patches are drawn, and whether the loss undoes it; only the training split is ever rebalanced."""

    name: Literal["natural", "two_pass", "stratified", "density"]
    reweight: bool = False
    draws: int | None = Field(default=None, ge=1)
    replacement: bool = True
    bins: int = Field(default=10, ge=2, le=100)
    weighting: Literal["dense_weight", "lds"] = "dense_weight"
    alpha: float = Field(default=1.0, ge=0)
    bandwidth: float = Field(default=0.05, gt=0, le=1)
