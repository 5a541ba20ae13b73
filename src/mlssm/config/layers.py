"""Further layers of an area: rasters of any quantity, and the features that they become."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlssm.config.sources import ClassTable
from mlssm.errors import ConfigError
from mlssm.variables import AGE, Kind, Variable, declare, is_layer, named

LIBRARY = "torchgeo.datasets."
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
KINDS: dict[str, Kind] = {"continuous": "fixed", "classes": "classes", "dated": "dated"}


class LayerSource(BaseModel):
    """A layer: what indexes its files, and what their values are.

    Other keys than these are arguments of the class `_target_`, e.g. `years: [2021]` of `torchgeo.datasets.NLCD`.

    Attributes:
        target: `_target_`, a subclass of torchgeo's `RasterDataset` that knows its files by their names; None: `paths`
            are GeoTIFFs, or folders of them.
        paths: Files or folders, below the area's folder or absolute.
        kind: `continuous` values, or `classes`, both of no date; or `dated` images of continuous values, of which the
            latest before a day counts.
        band: Name, description or number (from 1) of the band, where there are several.
        scale: What stored values are multiplied with, beside what the files state, e.g. 0.1 from g/kg to %.
        offset: What is added then.
        unit: Of the scaled values.
        low: The least value that can be, scaled; a lower one is refused.
        high: The greatest.
        missing: Stored values that stand for "missing", beside what the files declare.
        classes: Class of each code, by name, as of `SoilSource`.
        table: The same in a file.
        pattern: Of dated GeoTIFFs without a class: a regular expression of the names with the group `date`; None: names
            as producers write them.
        max_gap_days: How much older than an image the value may be that fills a gap in it; 0: gaps stay.
    """

    model_config = ConfigDict(
        extra="allow", frozen=True, allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )

    target: str | None = Field(default=None, alias="_target_")
    paths: tuple[str, ...] = Field(min_length=1)
    kind: Literal["continuous", "classes", "dated"]
    band: str | int | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    low: float | None = None
    high: float | None = None
    missing: tuple[float, ...] = ()
    classes: dict[int, str] = Field(default_factory=dict)
    table: ClassTable | None = None
    pattern: str | None = None
    max_gap_days: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _one_path_is_a_list_of_one(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and isinstance(values.get("paths"), str):
            return {**values, "paths": (values["paths"],)}
        return values

    @model_validator(mode="after")
    def _keys_belong_to_the_kind(self) -> Self:
        if self.target is not None and not DOTTED.fullmatch(self.target):
            raise ValueError(f"_target_='{self.target}' is no class, e.g. torchgeo.datasets.NLCD")
        if self.target is None and self.arguments:
            raise ValueError(f"unknown key '{next(iter(self.arguments))}'; only a class (_target_) takes further ones")
        if "download" in self.arguments:
            raise ValueError("a layer is read, and never downloaded: get its files first, and take 'download' away")
        if self.kind != "classes" and (self.classes or self.table is not None):
            raise ValueError(f"classes and table are of kind=classes, not of kind={self.kind}")
        if self.classes and self.table is not None:
            raise ValueError("both 'classes' and 'table' say which class a code is of; give one of them")
        if self.kind != "dated" and (self.pattern is not None or self.max_gap_days):
            raise ValueError(f"pattern and max_gap_days are of kind=dated, not of kind={self.kind}")
        if self.scale == 0:
            raise ValueError("scale=0 makes all values equal")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """What the class is given beside the paths."""
        return dict(self.model_extra or {})

    def variables(self, name: str) -> tuple[Variable, ...]:
        """The records of the channels that a layer of this name becomes."""
        kind = KINDS[self.kind]
        if kind == "classes":
            return (Variable(name, f"share of a class of {name}", "share, 0..1", kind, 0, 1),)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        own = Variable(name, name.replace("_", " "), self.unit or "as stored", kind, low, high)
        if kind == "fixed":
            return (own,)
        return own, Variable(name + AGE, f"age of {name}", "days", "age", 0, 36600, group=name)


def is_of_library(target: str) -> bool:
    """Whether a class is one that torchgeo brings, and no other code."""
    return target.startswith(LIBRARY) and "." not in target.removeprefix(LIBRARY)


def parse_layer(key: str, values: Mapping[str, Any]) -> LayerSource:
    """A layer's settings, typed.

    Raises:
        ConfigError: A value is not allowed; the message names its key.
    """
    try:
        return LayerSource.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([key, *map(str, first["loc"])])
        raise ConfigError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None


def declare_layers(layers: Mapping[str, LayerSource]) -> None:
    """Make the channels of an area's layers known.

    Raises:
        ValueError: A name is taken, or is none.
    """
    declare(variable for name, source in layers.items() for variable in source.variables(name))


def refuse_unknown_layers(features: Iterable[str], layers: Mapping[str, LayerSource]) -> None:
    """Refuse features that another configuration's layers were, and this one's are not.

    Raises:
        ValueError: There is one.
    """
    for name in features:
        if is_layer(name) and named(name).source not in layers:
            known = ", ".join(layers) or "none"
            raise ValueError(
                f"features.static names '{name}', and datamodule.layers has no such layer (it has {known})"
            )
