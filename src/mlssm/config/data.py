"""Features and how training patches are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from mlssm.config.base import Strict
from mlssm.variables import Kind, check_feature

KINDS: tuple[Kind, ...] = ("daily", "fixed", "classes", "dated", "age")  # of the features that a configuration names


def _weather(name: str) -> str:
    return check_feature(name, "daily")


def _static(name: str) -> str:
    return check_feature(name, *(kind for kind in KINDS if kind != "daily"))


def _feature(name: str) -> str:
    return check_feature(name, *KINDS)


class FeaturesConfig(Strict):
    """What the model sees, and what happens where a value is missing.

    Attributes:
        dynamic: Weather variables.
        static: Terrain, soil, NDVI, and layers of the area by their names.
        on_missing: `fill` with the training mean and an availability channel, or `drop` the pixel or date.
        previous: `none`, a forecast from weather and land alone; or `nowcast`, which also sees how far earlier images
            of the same season and pixel lay off the forecast.
        without: Features that are left out of the two lists above, whichever of them names them: what an ablation
            sweeps over.
    """

    dynamic: tuple[Annotated[str, AfterValidator(_weather)], ...] = Field(min_length=1)
    static: tuple[Annotated[str, AfterValidator(_static)], ...]
    on_missing: Literal["fill", "drop"]
    previous: Literal["none", "nowcast"] = "none"
    without: tuple[Annotated[str, AfterValidator(_feature)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, values: Any) -> Any:
        """Done once more, it changes nothing: a run records what is left."""
        left_out = values.get("without") if isinstance(values, Mapping) else None
        if not isinstance(left_out, list | tuple):
            return values
        lists = {key: values[key] for key in ("dynamic", "static") if isinstance(values.get(key), list | tuple)}
        return {**values, **{key: [name for name in names if name not in left_out] for key, names in lists.items()}}


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
