"""What the viewer shows, before it becomes a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
STEP = 0.005  # of the shares that a byte holds
NODATA = 255
WARNING = "warning"  # key of the pictures of warning levels: of the highest, as shares


@dataclass(frozen=True)
class Frame:
    """Where a picture lies: an extent in Web Mercator, as the page draws it.

    Attributes:
        name: The extent's name.
        shape: Rows and columns of its pictures.
        bounds: West, south, east, north in EPSG:3857, metres.
        corners: South, west, north, east in degrees.
    """

    name: str
    shape: tuple[int, int]
    bounds: tuple[float, float, float, float]
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class Pictures:
    """One quantity on some days.

    Attributes:
        key: By which the page knows it: ssm, lower, upper, retrieved, ...
        label: What it is, in words.
        days: ISO days.
        values: For each frame its pictures, [day, row, column]; bytes of `STEP`, `NODATA` where there is none.
    """

    key: str
    label: str
    days: tuple[str, ...]
    values: tuple[Bytes, ...]


@dataclass(frozen=True)
class Rain:
    """Daily rain at points of the area.

    Attributes:
        days: ISO days.
        points: Latitude and longitude of each point, degrees.
        mm: [point, day]; NaN = missing.
    """

    days: tuple[str, ...]
    points: tuple[tuple[float, float], ...]
    mm: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Station:
    """A weather station: its name, and its place in degrees."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Content:
    """All that the page shows.

    Attributes:
        title: Of the page.
        about: What the maps say of themselves, by name.
        notes: Of single days, as "forecast", by ISO day.
        frames: The extents.
        bands: The maps' quantities on the same days, the soil moisture first.
        retrieved: What was retrieved from images on their days; None without.
        hillshade: Of each frame, 0..254, `NODATA` where there is no elevation; None without.
        rain: At points; None without.
        stations: All of the area.
        polygons: A GeoJSON feature collection in degrees; None without.
    """

    title: str
    about: Mapping[str, str]
    notes: Mapping[str, str]
    frames: tuple[Frame, ...]
    bands: tuple[Pictures, ...]
    retrieved: Pictures | None = None
    hillshade: tuple[Bytes, ...] | None = None
    rain: Rain | None = None
    stations: Sequence[Station] = ()
    polygons: Mapping[str, Any] | None = None
