"""What filling an area would fetch: as its services say, or where they cannot be reached an estimate that says so."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pyproj import Geod
from shapely.geometry import shape

from mlssm.config import DatamoduleConfig
from mlssm.config.base import Strict
from mlssm.errors import DataError
from mlssm.origins.contract import Plan, Request
from mlssm.origins.download import Downloads
from mlssm.origins.fill import plan_source, request_of, services_of

log = logging.getLogger(__name__)

ESTIMATE = "ESTIMATE"
# Sentinel-1: a satellite returns after 12 days; most land lies on an ascending and a descending track
REVISIT_DAYS, TRACKS = 12, 2
RADAR_M, RADAR_BYTES = 10.0, 4
# a burst of OPERA: kilometres along the track and across it; of its pixels of 30 m, without compression
BURST_KM = (20.0, 85.0)
BURST_BYTES = 4 * BURST_KM[0] * BURST_KM[1] * 1e6 / 30**2
# Sentinel-2: two bands of 16 bits at 10 m and classes at 20 m
OPTICAL_M, OPTICAL_BYTES, OPTICAL_DAYS = 10.0, 4.25, 5
DEM_M, DEM_BYTES = 30.0, 4
STATION_BYTES = 200_000  # of a station's three years


def dry_run(config: DatamoduleConfig) -> str:
    """What filling an area would fetch, a line a source; nothing is fetched or written.

    Where a service cannot be asked, the line is an estimate, and says so and why.

    Raises:
        ConfigError: A service's package is missing.
        DataError: The place is none.
    """
    assert config.origin is not None
    request, lines = request_of(config), []
    with tempfile.TemporaryDirectory() as scratch:  # where searches leave what they found
        asked = replace(request, root=Path(scratch))
        # few trials: whoever asks what it would cost does not want to wait for minutes
        quick = config.origin.download.model_copy(update={"retries": 1, "cache": None})
        for source, settings in services_of(config.origin).items():
            lines += _lines(source, settings, Downloads(quick), asked)
    return "\n".join([*_head(config, request), *lines])


def _head(config: DatamoduleConfig, request: Request) -> list[str]:
    grid, km2 = request.grid, area_km2(request)
    days = (request.last - request.first).days + 1
    return [
        f"area {config.area}: {km2:,.0f} km2, {request.first} to {request.last} ({days} days)",
        f"grid {grid.crs}, {grid.height} x {grid.width} pixels of {grid.pixel:g} m, corner "
        f"{grid.origin[0]:.0f}, {grid.origin[1]:.0f}; into {config.root}",
    ]


def _lines(source: str, settings: Strict, downloads: Downloads, request: Request) -> list[str]:
    try:
        return list(_told(plan_source(source, settings, downloads, request)))
    except DataError as error:
        return [_estimated(source, str(settings.model_dump()["service"]), request), f"  ({error})"]


def _told(plan: Plan) -> Iterable[str]:
    sizes = [item.size for item in plan.wanted]
    known = [size for size in sizes if size is not None]
    total = [_megabytes(sum(known))] if known else []
    total += [f"{len(sizes) - len(known)} of unknown size"] if len(known) < len(sizes) else []
    counts = f"{len(plan.wanted)} files, {' and '.join(total)}, {plan.requests} requests"
    yield f"{plan.source}: {counts}; {plan.service}"
    yield from (f"  {note}" for note in plan.notes)


def _estimated(source: str, service: str, request: Request) -> str:
    files, size, requests = estimate(source, request, service)
    counts = f"{files} files, {_megabytes(size)}, {requests} requests"
    return f"{source}: {ESTIMATE} of about {counts}; {service} cannot be asked"


def estimate(source: str, request: Request, service: str = "") -> tuple[int, float, int]:
    """Files, bytes and requests of a source without asking any service: revisit x area x bytes of a pixel.

    OPERA's bursts are fetched whole, however small the area is.
    """
    days = (request.last - request.first).days + 1
    ground = request.grid.height * request.grid.width * request.grid.pixel**2
    if source == "backscatter":
        files = 2 * TRACKS * -(-days // REVISIT_DAYS)  # two polarisations
        if service == "opera":
            sides = (request.grid.height, request.grid.width)
            down, across = (side * request.grid.pixel / 1000 for side in sides)
            files *= round((1 + down / BURST_KM[0]) * (1 + across / BURST_KM[1]))
            return files, files * BURST_BYTES, 2 + files
        return files, files * ground / RADAR_M**2 * RADAR_BYTES, 2 + 3 * files
    if source == "ndvi":
        files = -(-days // (2 * OPTICAL_DAYS))  # half of the passes are cloudy
        return files, files * ground / OPTICAL_M**2 * OPTICAL_BYTES, 2 + 9 * files
    if source == "dem":
        west, south, east, north = request.place.bounds
        files = (int(east // 1) - int(west // 1) + 1) * (int(north // 1) - int(south // 1) + 1)
        return files, ground / DEM_M**2 * DEM_BYTES, 2 + 3 * files
    if source == "weather":
        files = max(5, round(area_km2(request) / 100))
        return files, files * STATION_BYTES * days / 1096, files + 2
    return 1, ground / request.grid.pixel**2, 3


def area_km2(request: Request) -> float:
    """Square kilometres of a place, on the ellipsoid."""
    return float(abs(Geod(ellps="WGS84").geometry_area_perimeter(shape(request.place.geometry))[0]) / 1e6)


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"
