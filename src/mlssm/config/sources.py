"""The sources of an area: for each its folder, and what is known of the files in it."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from mlssm.config.base import Strict

# a folder that is not set: as the area's file says, or the one that has the source's name
AUTO = "auto"


class FolderSource(Strict):
    """A source whose files are in a folder; a folder's name alone stands for it.

    Attributes:
        folder: Below the area's folder, or one file; `auto`: as `area.yaml` says, or the source's usual one.
    """

    folder: str

    @model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, values: Any) -> Any:
        return {"folder": values} if isinstance(values, str) else values


class ElevationSource(FolderSource):
    """Elevation, metres."""


class SoilSource(FolderSource):
    """Soil classes."""


class NdviSource(FolderSource):
    """Dated vegetation index."""
