"""`area.yaml`: what the files of an area's folder are, written by an origin or by hand."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from mlssm.config.base import Strict
from mlssm.config.datamodule import BackscatterConfig
from mlssm.config.layers import LayerSource
from mlssm.config.sources import ElevationSource, NdviSource, SoilSource, WeatherSource

AREA_FILE = "area.yaml"


class FileProvenance(Strict):
    """Where a file comes from.

    Attributes:
        name: Path below the area's folder.
        address: What it was read from, without anything secret.
        licence: Under which it may be used.
        sha256: Of its bytes.
        size: Bytes.
        retrieved: When, UTC.
    """

    name: str
    address: str
    licence: str
    sha256: str
    size: int = Field(ge=0)
    retrieved: dt.datetime


class AreaFile(Strict):
    """An area's sources as its folder states them; one that is left out is recognised by its files, or is not there."""

    format: Literal[1]
    time_zone: str | None = None
    backscatter: BackscatterConfig | None = None
    weather: WeatherSource | None = None
    dem: ElevationSource | None = None
    soil: SoilSource | None = None
    ndvi: NdviSource | None = None
    layers: dict[str, LayerSource] = Field(default_factory=dict)
    provenance: tuple[FileProvenance, ...] = ()
