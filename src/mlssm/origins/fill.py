"""Fill an area's folder from services: a source after the other, going on where an earlier run was killed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlssm.config import DatamoduleConfig
from mlssm.config.area_file import AREA_FILE, AreaFile, AreaRequest, read_area_file, write_area_file
from mlssm.config.base import Strict
from mlssm.config.datamodule import day_range
from mlssm.config.origins import OriginConfig
from mlssm.errors import DataError
from mlssm.origins.contract import Fetched, Plan, Request
from mlssm.origins.download import Downloads
from mlssm.origins.place import place_digest, read_place
from mlssm.origins.services import SOURCES, fetcher
from mlssm.origins.stated_grid import state_grid

log = logging.getLogger(__name__)

LOCK = ".fill.lock"


def fill(config: DatamoduleConfig) -> None:
    """Fetch what an area's folder does not have yet; does nothing, and needs no network, where it is whole.

    After each source `area.yaml` says what is there. A file has its name only when it is whole, so a killed run goes on
    file by file.

    Raises:
        ConfigError: A service's package is missing, or a setting does not fit.
        DataError: The folder was filled for another request, or a service fails for good.
    """
    origin, base = _origin(config), request_of(config)
    record = _record(base, origin)
    config.root.mkdir(parents=True, exist_ok=True)
    with _alone(config.root):
        area = _resumed(config.root, record, config.time_zone)
        missing = [source for source in services_of(origin) if not _is_whole(area, source, config.root)]
        if not missing:
            log.info("%s has all that was asked for: nothing to fetch", config.root)
        downloads = Downloads(origin.download)
        for source in missing:
            area = _fill_source(source, services_of(origin)[source], downloads, base, area)
            write_area_file(config.root, area)


def request_of(config: DatamoduleConfig) -> Request:
    """The place, dates and grid of an area; the folder is that of no source yet.

    Raises:
        DataError: The place is none.
    """
    assert config.area is not None
    assert config.dates is not None
    place = read_place(config.area)
    first, last = day_range(config.dates)
    return Request(place, first, last, state_grid(place, config.grid), config.root, "")


def services_of(origin: OriginConfig) -> dict[str, Strict]:
    """The settings of the service of each source that has one."""
    found = {source: getattr(origin, source) for source in SOURCES}
    return {source: settings for source, settings in found.items() if settings is not None}


def for_source(request: Request, source: str) -> Request:
    """A request for one source, whose folder has its name."""
    return Request(request.place, request.first, request.last, request.grid, request.root, source)


def plan_source(source: str, settings: Strict, downloads: Downloads, request: Request) -> Plan:
    """What a service would fetch for a source."""
    return fetcher(source, settings, downloads).plan(for_source(request, source))


def _origin(config: DatamoduleConfig) -> OriginConfig:
    assert config.origin is not None
    return config.origin


def _fill_source(source: str, settings: Strict, downloads: Downloads, base: Request, area: AreaFile) -> AreaFile:
    service, request = fetcher(source, settings, downloads), for_source(base, source)
    plan = service.plan(request)
    for note in plan.notes:
        log.info("%s: %s", source, note)
    log.info("%s: %d files from %s", source, len(plan.wanted), plan.service)
    return _with_source(area, source, service.fetch(request, plan))


def _with_source(area: AreaFile, source: str, fetched: Fetched) -> AreaFile:
    others = tuple(item for item in area.provenance if item.name.partition("/")[0] != source)
    return area.model_copy(update={source: fetched.section, "provenance": (*others, *fetched.files)})


def _record(request: Request, origin: OriginConfig) -> AreaRequest:
    grid = request.grid
    return AreaRequest(
        place=place_digest(request.place),
        bounds=request.place.bounds,
        first=request.first,
        last=request.last,
        crs=grid.crs,
        origin=grid.origin,
        pixel=grid.pixel,
        shape=grid.shape,
        services={source: settings.model_dump(mode="json") for source, settings in services_of(origin).items()},
    )


def _resumed(root: Path, record: AreaRequest, time_zone: str | None) -> AreaFile:
    """What the folder has already, for the same request.

    Raises:
        DataError: The folder has files of another request, or of nobody's.
    """
    area = read_area_file(root)
    if area is None:
        if strange := [
            path.name for path in root.iterdir() if not path.name.startswith(".") and path.name != "weather"
        ]:
            raise DataError(
                f"{root} has files ({', '.join(sorted(strange)[:3])}) and no {AREA_FILE} that says what was fetched; "
                "set another datamodule.root, or use datamodule=geotiff for files of your own"
            )
        area = AreaFile(format=1, time_zone=time_zone, request=record)
        write_area_file(root, area)
        return area
    if area.request is None:
        raise DataError(f"{root / AREA_FILE} was written by hand; use datamodule=geotiff, or another datamodule.root")
    if differs := _differences(area.request, record):
        raise DataError(
            f"{root} was filled for another request ({'; '.join(differs[:3])}); set another datamodule.root (files "
            "that both want come from the cache), or move it away"
        )
    return area.model_copy(update={"request": _joined(area.request, record)})


def _joined(old: AreaRequest, new: AreaRequest) -> AreaRequest:
    """A request with the services of both: a source that is asked for later joins those that are there."""
    return old.model_copy(update={"services": old.services | new.services})


def _differences(old: AreaRequest, new: AreaRequest) -> list[str]:
    """What two requests have unlike, a phrase each."""
    before, after = old.model_dump(exclude={"services"}), new.model_dump(exclude={"services"})
    if before["place"] == after["place"]:
        after["bounds"] = before["bounds"]
    else:
        del before["place"], after["place"]
    found = [f"{key} {_text(before[key])}, now {_text(after[key])}" for key in before if before[key] != after[key]]
    if old.place != new.place and not found:
        found = ["another polygon of the same bounds"]
    for source in old.services.keys() & new.services.keys():
        was, now = old.services[source], new.services[source]
        found += [
            f"{source}.{key} {was.get(key)}, now {now.get(key)}"
            for key in sorted(was.keys() | now.keys())
            if was.get(key) != now.get(key)
        ]
    return found


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_text(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_whole(area: AreaFile, source: str, root: Path) -> bool:
    """Whether a source is there, with each of its files as long as it was."""
    if getattr(area, source) is None:
        return False
    files = [item for item in area.provenance if item.name.partition("/")[0] == source]
    changed = [item.name for item in files if not _has(root / item.name, item.size)]
    if changed:
        log.warning("%s: %d files are gone or cut: fetched again (first: %s)", source, len(changed), changed[0])
        for name in changed:
            (root / name).unlink(missing_ok=True)
    return not changed


def _has(path: Path, size: int | None) -> bool:
    return path.is_file() and size in (None, path.stat().st_size)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one process fill a folder; others wait, and then find it whole."""
    lock = FileLock(root / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process fills %s: waiting for it", root)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
