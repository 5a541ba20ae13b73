"""Backscatter images: where they are, and what their names and values mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlssm.config.sources import FolderSource

Units = Literal["linear", "dB", "dB*10", "dB*100", "amplitude"]
Polarisation = Literal["VV", "VH", "HH", "HV"]
BandNumber = Annotated[int, Field(ge=1)]
TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")


class BackscatterConfig(FolderSource):
    """The folder of images, and what is known of them; what is None is recognised by names, headers and values.

    Attributes:
        folder: Below the area's folder.
        subfolders: Whether images in folders below it count, too; None: where it has none itself.
        pattern: Regular expression of whole file names with the group `date` (UTC), and where the names have them
            `polarisation`, `orbit` (relative) or `absolute`, `pass` (ascending or descending), `platform`, `burst`,
            `processed`, `tile`. None: the names of known producers, or any with a date.
        time_of_day: UTC, `HH:MM`, of images whose names have a date alone; or one for each relative orbit or pass.
        units: Of the values as GDAL gives them, with a band's own scale and offset applied: linear power, its square
            root (amplitude), decibels, or decibels times 10 or 100. None: as each file's name, header or values tell.
        looks: Equivalent number of looks of a pixel; None: estimated from the images.
        bands: Number of the band of each polarisation, counted from 1, where a file has several; None: by the bands'
            descriptions.
        nodata: A stored value that is missing, besides those that the files declare.
        crs: The CRS that the images are in, in place of what they declare.
        incidence_pattern: Regular expression of the names of files of incidence angles, with the group `orbit` where
            each orbit has its own. None: those of known producers.
        incidence_layer: File or folder of incidence angles below the area's folder, apart from the images.
        incidence_band: Number of the band of each image that has its incidence angle.
        incidence_units: Of the incidence angle; None: degrees, but where a producer is known to give radians.
    """

    subfolders: bool | None = None
    pattern: str | None = None
    time_of_day: str | dict[str, str] | None = None
    units: Units | None = None
    looks: float | None = Field(default=None, gt=0)
    bands: dict[Polarisation, BandNumber] | None = None
    nodata: float | None = None
    crs: str | None = None
    incidence_pattern: str | None = None
    incidence_layer: str | None = None
    incidence_band: BandNumber | None = None
    incidence_units: Literal["degrees", "radians"] | None = None

    @field_validator("crs", mode="before")
    @classmethod
    def _by_its_code(cls, value: object) -> object:
        return f"EPSG:{value}" if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("time_of_day", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        """YAML takes 14:06 for a number to the base of 60, and an orbit for a whole number."""
        if isinstance(value, Mapping):
            return {str(key): _clock(item) for key, item in value.items()}
        return _clock(value)

    @field_validator("time_of_day")
    @classmethod
    def _is_time(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for text in value.values() if isinstance(value, dict) else () if value is None else (value,):
            if not TIME_OF_DAY.fullmatch(text):
                raise ValueError(f"{text!r} is no time of day such as '14:06' (UTC)")
        return value

    @model_validator(mode="after")
    def _no_band_twice(self) -> Self:
        numbers = [*(self.bands or {}).values(), *([self.incidence_band] if self.incidence_band else [])]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"bands={self.bands} and incidence_band={self.incidence_band} name a band twice")
        if self.incidence_band and (self.incidence_layer or self.incidence_pattern):
            raise ValueError("set incidence_band, or incidence_layer and incidence_pattern: an angle has one source")
        return self


def _clock(value: object) -> object:
    """HH:MM is read as minutes, HH:MM:SS as seconds."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if 0 <= value < 24 * 60:
        return f"{value // 60:02d}:{value % 60:02d}"
    return f"{value // 3600:02d}:{value // 60 % 60:02d}:{value % 60:02d}" if value >= 3600 else str(value)
