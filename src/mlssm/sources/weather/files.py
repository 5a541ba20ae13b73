"""The files of a weather folder, and what each of them is."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlssm.config.weather_source import WeatherFormat, WeatherSource
from mlssm.errors import DataError
from mlssm.sources.faults import printable
from mlssm.sources.weather import ghcn_by_year, grid_files, uscrn
from mlssm.sources.weather.station_list import NOAA_LIST

log = logging.getLogger(__name__)

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
# what a format's files are, in words
WORDS: dict[WeatherFormat, str] = {
    "ghcn": "GHCN-Daily by-station CSV",
    "ghcn_by_year": "GHCN-Daily by-year CSV",
    "access": "CSV of NOAA's access service",
    "uscrn": "USCRN daily01 or hourly02",
    "csv": "tables with the columns of datamodule.weather.columns",
    "gridded": "gridded weather",
}
SUFFIXES: dict[WeatherFormat, tuple[str, ...]] = {
    "ghcn": TABLES,
    "ghcn_by_year": TABLES,
    "access": TABLES,
    "uscrn": (".txt",),
    "csv": (*TABLES, ".txt", ".dat"),
    "gridded": grid_files.SUFFIXES,
}
MOST_TOLD = 5
FIRST_BYTES = 4096


def station_list_of(root: Path, source: WeatherSource) -> Path | None:
    """The file that says where the stations stand: as set, or NOAA's in the folder; None where there is none."""
    if source.stations is not None:
        beside, below = root / source.stations, root / source.folder / source.stations
        return below if below.is_file() else beside
    noaa = root / source.folder / NOAA_LIST
    return noaa if noaa.is_file() else None


def weather_files(root: Path, source: WeatherSource) -> list[Path]:
    """The entries of a weather folder that are read, by name; hidden ones and the list of stations are not.

    Args:
        root: The area's folder.
        source: Of the weather, or of its forecast.

    Raises:
        DataError: The folder is missing or cannot be listed.
    """
    folder = root / source.folder
    if folder.is_file() or folder.suffix.lower() == ".zarr":
        return [folder]
    if not folder.is_dir():
        raise DataError(
            f"weather folder {folder} is missing: it does not exist, or is no folder; set datamodule.weather"
        )
    places = station_list_of(root, source)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: the weather folder cannot be listed ({error}); let it be read") from error
    return [path for path in entries if path != places and not path.name.startswith(".") and _is_read(path, source)]


def _is_read(path: Path, source: WeatherSource) -> bool:
    if source.format is not None:
        return path.name.lower().endswith(SUFFIXES[source.format])
    return recognised(path, source) is not None


def recognised(path: Path, source: WeatherSource) -> WeatherFormat | None:
    """What a file is: as set, or by its name and its first line; None where it is no weather."""
    if source.format is not None:
        return source.format
    name = path.name.lower()
    if name.endswith(grid_files.SUFFIXES):
        return "gridded"
    if uscrn.NAME.fullmatch(path.name):
        return "uscrn"
    if not name.endswith(TABLES):
        return None
    first = _first_line(path)
    if ghcn_by_year.LINE.match(first):
        return "ghcn_by_year"
    header = first.replace('"', "").upper()
    if source.columns and "PRCP" not in header:
        return "csv"
    return "access" if source.units is not None or "PRCP (" in header else "ghcn"


def _first_line(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            text = stream.read(FIRST_BYTES).decode("latin-1")
    except (OSError, EOFError, zlib.error):
        return ""  # its reader says what is wrong
    return next(iter(text.lstrip("\ufeff\xef\xbb\xbf").splitlines()), "")


def by_format(files: Sequence[Path], source: WeatherSource) -> dict[WeatherFormat, list[Path]]:
    """The files of each format, and a line on what was recognised."""
    found: dict[WeatherFormat, list[Path]] = {}
    for path in files:
        kind = recognised(path, source)
        if kind is not None:
            found.setdefault(kind, []).append(path)
    for kind, paths in found.items():
        how = "are" if source.format else "are recognised as"
        log.info("%s: %d files %s %s", paths[0].parent, len(paths), how, WORDS[kind])
    return found


def tell_unused(root: Path, source: WeatherSource, files: Sequence[Path]) -> None:
    """Name what lies in the folder, or below it, and is not read."""
    folder = root / source.folder
    if not folder.is_dir() or folder in files:
        return
    used = {*files, station_list_of(root, source)}
    unused = [path for path in _loose(folder, used) if path not in used]
    names = sorted(printable(path.relative_to(folder).as_posix()) for path in unused)
    if names:
        more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
        log.warning(
            "%s: %d files are not used, as only weather files of the folder itself are: %s%s",
            *(folder, len(names), ", ".join(names[:MOST_TOLD]), more),
        )


def _loose(folder: Path, used: set[Path | None]) -> Iterator[Path]:
    """All files below a folder, without those inside of a store that is read."""
    for path in folder.iterdir():
        if path.is_dir() and path not in used:
            yield from (below for below in path.rglob("*") if not below.is_dir())
        elif not path.is_dir():
            yield path


def digested(root: Path, source: WeatherSource) -> list[Path]:
    """The files that decide what the weather is: of a store all that it holds, and the list of stations."""
    found = []
    for path in weather_files(root, source):
        found += sorted(below for below in path.rglob("*") if below.is_file()) if path.is_dir() else [path]
    places = station_list_of(root, source)
    found += [] if places is None else [places]
    return found if source.forecast is None else [*found, *digested(root, source.forecast)]
