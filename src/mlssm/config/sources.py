"""The sources of an area: for each its folder, and what is known of the files in it."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from mlssm.config.base import Strict

# a folder that is not set: as the area's file says, or the one that has the source's name
AUTO = "auto"


class FolderSource(Strict):
    """A source whose files are in a folder; a folder's name alone stands for it.

    Attributes:
        folder: Below the area's folder, or one file; `auto`: as `area.yaml` says, or the source's usual one.
    """

    folder: str = AUTO

    @model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, values: Any) -> Any:
        return {"folder": values} if isinstance(values, str) else values


class ElevationSource(FolderSource):
    """Elevation, metres."""


class ClassTable(Strict):
    """A table that says of each code of a raster which class it is of.

    Attributes:
        file: CSV or parquet, below the area's folder.
        key: Column of the codes; null: the one that is named as agencies name it (mukey, code, value).
        column: Column of the classes; null: likewise (hydgrpdcd, hydgrp, texture, class).
    """

    file: str = Field(min_length=1)
    key: str | None = None
    column: str | None = None


class SoilSource(FolderSource):
    """A raster of soil classes, or of map units (mukey) that a table brings to classes.

    The share of each class is a channel, `soil_<class>`, by its code or by its name in `classes` or `table`.
    Measured properties (clay, sand, ...) are layers of the area, `datamodule.layers`.

    Attributes:
        classes: Class of each code, by name; several codes may be of one class. Empty: each code is a class.
        table: The same in a file.
    """

    classes: dict[int, str] = Field(default_factory=dict)
    table: ClassTable | None = None

    @model_validator(mode="after")
    def _has_one_table(self) -> Self:
        if self.classes and self.table is not None:
            raise ValueError("both 'classes' and 'table' say which class a code is of; give one of them")
        return self


class NdviSource(FolderSource):
    """Dated vegetation index.

    Attributes:
        scale: What stored whole numbers are multiplied with, where files do not state it; null: as their range says.
        offset: What is added then.
        max_gap_days: How much older than an image a pixel's value may be that fills a gap, as a cloud; 0: gaps stay.
    """

    scale: float | None = Field(default=None, gt=0)
    offset: float = 0.0
    max_gap_days: int = Field(default=60, ge=0)

    @model_validator(mode="after")
    def _an_offset_has_its_scale(self) -> Self:
        if self.offset != 0 and self.scale is None:
            raise ValueError("offset is of whole numbers with a scale; give scale, too")
        return self
