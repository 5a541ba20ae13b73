"""The files of an area, which its cube is known by."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlssm.config import DatamoduleConfig
from mlssm.config.area_file import AREA_FILE, FileProvenance
from mlssm.errors import DataError
from mlssm.provenance import FileDigests, name_below
from mlssm.sources.faults import BadFiles
from mlssm.sources.folder import SUFFIXES, raster_files, refuse_unwritable_name
from mlssm.sources.layers import layer_paths
from mlssm.sources.weather.files import digested

log = logging.getLogger(__name__)

OPTIONAL = ("dem", "soil", "ndvi")
# files beside a raster in which GDAL looks for its CRS, its missing value or its mask
SIDECARS = (".aux.xml", ".msk")
UNREADABLE = "unreadable"


def source_paths(config: DatamoduleConfig, bad: BadFiles) -> tuple[Path, ...]:
    """All files of an area's sources.

    Raises:
        DataError: A folder is missing.
    """
    return (*sorted(_rasters(config, bad)), *digested(config.root, config.weather))


def source_digests(config: DatamoduleConfig, bad: BadFiles, digests: FileDigests) -> dict[str, str]:
    """SHA-256 of each file of an area's sources, by its path below the area's folder.

    Args:
        config: The area.
        bad: Whether a file that cannot be read stops the run or is left out.
        digests: Those that are known already.

    Raises:
        DataError: A folder is missing, or a file cannot be read and the policy is "error".
    """
    found: dict[str, str] = {}
    for path in sorted(_rasters(config, bad)):
        with bad.handled(path):
            found[name_below(config.root, path)] = _digest(path, digests)
    for path in digested(config.root, config.weather):
        found[name_below(config.root, path)] = _station_digest(path, digests)
    digests.keep()
    _say_copies(found, bad)
    return found


def _say_copies(digests: dict[str, str], bad: BadFiles) -> None:
    """Say which rasters hold the same bytes: one image under two dates is two observations that are none."""
    first: dict[str, str] = {}
    copies = [
        f"{name} and {first[content]}"
        for name, content in digests.items()
        if name.lower().endswith(SUFFIXES) and first.setdefault(content, name) != name
    ]
    if copies:
        bad.say(f"{len(copies)} rasters are copies of others under another name (first: {copies[0]}); is that right?")


def _digest(path: Path, digests: FileDigests) -> str:
    refuse_unwritable_name(path)
    if not path.is_file():
        raise DataError(f"{path} is a folder, a pipe or a dead link, no file; take it away")
    try:
        return digests.of(path)
    except OSError as error:
        cure = "replace it, or leave it out with on_bad_file=skip"
        raise DataError(f"{path} cannot be read ({error.strerror}); {cure}") from error


def _station_digest(path: Path, digests: FileDigests) -> str:
    """What is no file or cannot be read has a digest too: its reader says what is wrong with it."""
    if not path.is_file():  # to open a pipe would wait for ever
        return UNREADABLE
    try:
        return digests.of(path)
    except OSError:
        return UNREADABLE


def _rasters(config: DatamoduleConfig, bad: BadFiles) -> list[Path]:
    backscatter = config.backscatter
    rasters = raster_files(config.root / backscatter.folder, bad, backscatter.subfolders)
    if backscatter.incidence_layer is not None:
        rasters += raster_files(config.root / backscatter.incidence_layer, bad)
    for source in (config.dem, config.soil, config.ndvi):
        if source is not None:
            rasters += raster_files(config.root / source.folder, bad)
        table = getattr(source, "table", None)
        rasters += [] if table is None else [config.root / table.file]
    rasters += layer_paths(config.root, config.layers, bad)
    beside = (path.with_name(path.name + suffix) for path in rasters for suffix in SIDECARS)
    return [*rasters, *(path for path in beside if path.is_file())]


def tell_changed(root: Path, provenance: Sequence[FileProvenance], files: Mapping[str, str], bad: BadFiles) -> None:
    """Say which files are gone, or are not what `area.yaml` says was fetched.

    Args:
        root: The area's folder.
        provenance: What `area.yaml` says.
        files: SHA-256 of the files that are used, by their path below the folder.
        bad: Says it.
    """
    fetched = [item for item in provenance if item.sha256 is not None]
    gone = [item.name for item in fetched if item.name not in files and not (root / item.name).exists()]
    changed = [item.name for item in fetched if files.get(item.name, item.sha256) != item.sha256]
    for names, what in ((gone, "are not there"), (changed, "do not hold what was fetched")):
        if names:
            bad.say(f"{len(names)} files of {root / AREA_FILE} {what} (first: {names[0]}); fetch them again")


def tell_left_out(config: DatamoduleConfig) -> None:
    """Log the sources that are there, but are not used."""
    for name in OPTIONAL:
        if getattr(config, name) is None and (config.root / name).exists():
            log.info(
                "%s is there, but datamodule.%s=null leaves it out; datamodule.%s=%s uses it",
                *(config.root / name, name, name, name),
            )
