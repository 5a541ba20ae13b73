"""What fills an area's folder: what it is asked, what it would fetch, and what it says of what it fetched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlssm.config.area_file import FileProvenance
from mlssm.config.base import Strict
from mlssm.grid import Bounds, Grid


@dataclass(frozen=True)
class Place:
    """A place on Earth.

    Attributes:
        geometry: GeoJSON polygon or multipolygon, longitude and latitude in degrees (WGS 84).
        bounds: Its west, south, east, north.
    """

    geometry: Mapping[str, Any]
    bounds: Bounds


@dataclass(frozen=True)
class Request:
    """What a service is asked for one source of an area.

    Attributes:
        place: Where.
        first: First day, local.
        last: Last day, included.
        grid: The grid that rasters are cut for: it is stated, and never taken from what a catalogue says of a file.
        root: The area's folder, which files are written below.
        folder: The source's folder in it.
    """

    place: Place
    first: dt.date
    last: dt.date
    grid: Grid
    root: Path
    folder: str


@dataclass(frozen=True)
class Wanted:
    """One file that would be fetched.

    Attributes:
        name: Path below the area's folder.
        address: What it is read from: a URL without signature, or the request to a service.
        size: Bytes that would be read; None where the service does not tell.
        licence: Under which it may be used.
    """

    name: str
    address: str
    size: int | None
    licence: str


@dataclass(frozen=True)
class Plan:
    """What a service would fetch for one source.

    Attributes:
        source: The source: backscatter, dem, soil, ndvi or weather.
        service: The service, as users know it.
        wanted: The files.
        requests: How many requests that takes, about.
        notes: What is worth saying of it, a line each.
    """

    source: str
    service: str
    wanted: tuple[Wanted, ...]
    requests: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """What a service left in a source's folder.

    Attributes:
        section: What `area.yaml` says of the source: a `BackscatterConfig`, a `WeatherSource`, ...
        files: Where each file comes from.
    """

    section: Strict
    files: tuple[FileProvenance, ...]


class Fetcher(Protocol):
    """A service that fills the folder of one source."""

    def plan(self, request: Request) -> Plan:
        """Ask what there is, and fetch none of it.

        Raises:
            DataError: The service cannot be reached, refuses, or has nothing for the request; says what to do.
        """
        ...

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Fetch the files of a plan that are not there yet; a file has its name only when it is whole.

        Raises:
            DataError: The service fails for good, or what it sends is not what it says it is.
        """
        ...
