"""Which files of a folder are a source's rasters; what else lies there is said."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles, printable

SUFFIXES = (".tif", ".tiff")
# what belongs to a raster, or to its reader: no data of its own
COMPANIONS = (
    *(".xml", ".ovr", ".msk", ".tfw", ".tifw", ".prj", ".json", ".html", ".txt", ".md", ".pdf", ".png", ".jpg"),
    *(".kml", ".qml", ".qmd", ".clr", ".sha256", ".md5", ".log", ".sh", ".py"),
)
CURE = "replace it, or leave it out with on_bad_file=skip"


def raster_files(folder: Path, bad: BadFiles, subfolders: bool | None = False) -> list[Path]:
    """All GeoTIFFs in a folder, sorted by name; or the file itself.

    Hidden files, files of other formats and those in subfolders are not used; a line in the log says so.

    Args:
        folder: The folder, or one file.
        bad: Whether an entry with a raster's name that is no file stops the run or is left out.
        subfolders: Whether those below the folder count, too; None: where it has none itself.

    Raises:
        DataError: The folder is missing or holds no GeoTIFF, or an entry is no file and the policy is "error".
    """
    if folder.is_file():
        return [folder]
    entries = _entries(folder)
    if subfolders or (subfolders is None and not any(map(_is_named_raster, entries))):
        below = {folder / name for path in entries if path.is_dir() for name in _rasters_below(path, folder)}
        entries = [*(path for path in entries if not path.is_dir() or _is_named_raster(path)), *sorted(below)]
    files = []
    for path in (path for path in entries if _is_named_raster(path)):
        with bad.handled(path):
            files.append(_regular(path))
    _say_unused(folder, entries, bad)
    if not files:
        raise DataError(f"folder {folder} holds no GeoTIFF (.tif); set this source to null to leave it out")
    return files


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"folder {folder} is missing; check datamodule.root and the source's folder in datamodule")
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"folder {folder} cannot be listed ({error.strerror}); check its permissions") from error


def _is_named_raster(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _regular(path: Path) -> Path:
    """The path, if it is a file: a pipe would wait for ever, a folder and a dead link cannot be read."""
    refuse_unwritable_name(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder with a GeoTIFF's name; rename it, or leave it out with on_bad_file=skip")
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link to {path.readlink()}, which is not there; {CURE}")
    if not path.is_file():
        raise DataError(f"{path} is no regular file; {CURE}")
    return path


def refuse_unwritable_name(path: Path) -> None:
    """Refuse a file whose name is no text (UTF-8), as old archives unpack them: GDAL and JSON know no such names.

    Raises:
        DataError: It is none.
    """
    if path.name != printable(path.name):
        raise DataError(f"{printable(str(path))} has a name that is not UTF-8; rename it")


def _say_unused(folder: Path, entries: Sequence[Path], bad: BadFiles) -> None:
    def say(what: str, paths: Sequence[Path | str], cure: str) -> None:
        if paths:
            bad.say(f"{len(paths)} {what} {folder} (first: {printable(str(paths[0]))}): not used; {cure}")

    loose = [path.name for path in entries if not _is_named_raster(path) and not path.is_dir()]
    say("hidden GeoTIFFs in", [name for name in loose if name.startswith(".") and _ends(name, SUFFIXES)], "rename them")
    others = [name for name in loose if not name.startswith(".") and not _ends(name, COMPANIONS)]
    say("files that are not named .tif in", others, "convert them with `gdal_translate` if they are data")
    deeper = [name for path in entries if path.is_dir() for name in _rasters_below(path, folder)]
    say("GeoTIFFs in subfolders of", deeper, "move them up if they belong to the area")


def _rasters_below(path: Path, folder: Path) -> list[str]:
    below = [Path(here) / name for here, _, names in _walk(path) for name in names]
    return sorted(str(file.relative_to(folder)) for file in below if _is_named_raster(file))


def _walk(path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """The folders below one; of a linked folder that one alone: a link may lead to the root of a disk."""
    return islice(os.walk(path), 1) if path.is_symlink() else os.walk(path)


def _ends(name: str, suffixes: Sequence[str]) -> bool:
    return name.lower().endswith(tuple(suffixes))
