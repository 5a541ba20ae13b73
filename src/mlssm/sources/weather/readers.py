"""One folder of weather, read by whatever its files are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mlssm.config.weather_source import WeatherFormat, WeatherSource
from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.folder import refuse_unwritable_name
from mlssm.sources.weather.files import by_format, station_list_of, tell_unused, weather_files
from mlssm.sources.weather.ghcn import read_station, read_stations
from mlssm.sources.weather.ghcn_by_year import read_years
from mlssm.sources.weather.gridded import read_grids
from mlssm.sources.weather.places import why_far
from mlssm.sources.weather.record import StationRecord
from mlssm.sources.weather.site import Site
from mlssm.sources.weather.station_list import NOAA_LIST, read_station_list
from mlssm.sources.weather.table import read_tables
from mlssm.sources.weather.uscrn import read_uscrn

log = logging.getLogger(__name__)


def read_folder(
    root: Path, source: WeatherSource, site: Site, bad: BadFiles
) -> tuple[list[StationRecord], tuple[str, ...]]:
    """The stations of a weather folder that are near the extents, and a line on each that is not.

    Args:
        root: The area's folder.
        source: The weather's folder, and what is known of its files.
        site: The extents.
        bad: What a bad file does.

    Raises:
        DataError: The folder is missing or has no weather file, a file is bad, holds a station that another file has
            or one of another part of the world, or none is left.
    """
    files = weather_files(root, source)
    folder = root / source.folder
    if not files:
        raise DataError(
            f"{folder}: no *.csv in the weather folder, and no NetCDF, zarr or USCRN file; put GHCN-Daily by-station "
            "files there"
        )
    tell_unused(root, source, files)
    named = [path for path in files if _has_text_for_a_name(path, bad)]
    far: list[str] = []
    records: list[StationRecord] = []
    for kind, paths in by_format(named, source).items():
        for path, found in _read(kind, paths, root, source, site, bad):
            with bad.handled(path):
                _add(path, found, records, far, site)
    if not records:
        raise DataError(
            f"{folder}: none of the {len(files)} station files can be used, {len(bad.skipped)} are bad, {len(far)} far "
            "away; see the warnings above"
        )
    _tell_groups(records)
    return records, tuple(far)


def _has_text_for_a_name(path: Path, bad: BadFiles) -> bool:
    with bad.handled(path):
        refuse_unwritable_name(path)
        return True
    return False


def _read(
    kind: WeatherFormat, paths: Sequence[Path], root: Path, source: WeatherSource, site: Site, bad: BadFiles
) -> list[tuple[Path, StationRecord]]:
    """All stations of the files of one format, each with its file."""
    if kind in ("ghcn", "access"):
        return _one_by_one(kind, paths, source, bad)
    listed = station_list_of(root, source)
    places = None if listed is None else read_station_list(listed, source.station)
    if kind == "ghcn_by_year":
        found = read_years(paths, _required(places, paths[0]), site.boxes, source, bad)
    elif kind == "uscrn":
        found = read_uscrn(paths, places, site, bad)
    elif kind == "csv":
        found = read_tables(paths, places, source, site, bad)
    else:
        found = read_grids(paths, source, site, bad)
    return [(paths[0], record) for record in found]


def _required(places: pd.DataFrame | None, path: Path) -> pd.DataFrame:
    if places is None:
        raise DataError(
            f"{path}: by-year files have no places; put NOAA's {NOAA_LIST} beside them, or name a list in "
            "datamodule.weather.stations"
        )
    return places


def _one_by_one(
    kind: WeatherFormat, paths: Sequence[Path], source: WeatherSource, bad: BadFiles
) -> list[tuple[Path, StationRecord]]:
    found: list[tuple[Path, StationRecord]] = []
    for path in paths:
        with bad.handled(path):
            records = [read_station(path, source)] if kind == "ghcn" else read_stations(path, source)
            found += [(path, record) for record in records]
    return found


def _add(path: Path, record: StationRecord, records: list[StationRecord], far: list[str], site: Site) -> None:
    """Take a station that is near; tell what is to be said of it.

    Raises:
        DataError: Another file has it, or its place looks wrong.
    """
    if any(record.id == other.id for other in records):
        raise DataError(f"{path}: station {record.id} is in another file too; remove one of the files")
    reason = None if record.group else why_far(path, record.longitude, record.latitude, site.middles)
    if reason is None:
        records.append(record)
    else:
        far.append(reason)
    if not record.group:
        for note in record.notes if reason is None else (reason,):
            log.warning("%s: %s", path, note)


def _tell_groups(records: Sequence[StationRecord]) -> None:
    """What is to be said of the cells of a grid, once for all of them."""
    for group, notes in {record.group: record.notes for record in records if record.group}.items():
        for note in notes:
            log.info("%s: %s", group, note)
