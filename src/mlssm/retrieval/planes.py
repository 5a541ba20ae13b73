"""Arrays [time, rows, columns] of which each date is written by a task of its own, and that are memory-mapped later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import xxhash

from mlssm.checksums import content_checksum
from mlssm.files import flush, naming

MANIFEST = "manifest.json"


def create(path: Path, dtype: npt.DTypeLike, shape: tuple[int, int, int]) -> None:
    """Make an array's file; until its dates are written it takes no space."""
    np.lib.format.open_memmap(path, "w+", dtype, shape).flush()


class Plane:
    """One date of an array, written from the top."""

    def __init__(self, path: Path, time: int, fill: int) -> None:
        """Begin at the first row.

        Args:
            path: The array's file.
            time: Which date.
            fill: What rows hold that are left out.
        """
        self._path, self._fill = path, fill
        with path.open("rb") as file:
            (_, self._height, self._width), self._dtype, start = _header(file)
        self._place = start + time * self._height * self._width * self._dtype.itemsize
        self._row = 0
        self._checksum = xxhash.xxh3_128()

    def write(self, row: int, values: npt.NDArray[Any]) -> None:
        """Write rows from `row` on; those before it that were not written are filled."""
        if row > self._row:
            self._append(np.full((row - self._row, self._width), self._fill, self._dtype))
        self._append(np.ascontiguousarray(values, self._dtype))

    def close(self) -> str:
        """Fill what is left, and force it to the disk; the date's checksum."""
        if self._row < self._height:
            self.write(self._height, np.empty((0, self._width), self._dtype))
        flush(self._path)
        return self._checksum.hexdigest()

    def _append(self, values: npt.NDArray[Any]) -> None:
        content = values.tobytes()
        with naming(self._path), self._path.open("r+b") as file:
            file.seek(self._place)
            file.write(content)
        self._checksum.update(content)
        self._place += len(content)
        self._row += len(values)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and place of the first value of an array's file."""
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype, file.tell()


def write_manifest(folder: Path, checksums: Mapping[str, Sequence[str]]) -> None:
    """Write, last of all, which files a folder has, how large they are, and the checksum of each date."""
    files = {name: {"size": (folder / name).stat().st_size, "dates": list(each)} for name, each in checksums.items()}
    (folder / MANIFEST).write_text(json.dumps(files), encoding="utf-8")


def is_whole(folder: Path) -> bool:
    """Whether all files of a folder are there, by their sizes."""
    files = _manifest(folder)
    return bool(files) and all(
        (folder / name).is_file() and (folder / name).stat().st_size == each["size"] for name, each in files.items()
    )


def damaged_dates(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that are not as they were written, and what is wrong with them; all of them are read."""
    files = _manifest(folder)
    if not files:
        yield folder / MANIFEST, "is gone or cannot be read"
    for name, each in files.items():
        path = folder / name
        if not path.is_file():
            yield path, "is gone"
        elif path.stat().st_size != each["size"]:
            yield path, f"has {path.stat().st_size} bytes, not {each['size']}"
        else:
            values = np.load(path, mmap_mode="r")
            for number, (plane, checksum) in enumerate(zip(values, each["dates"], strict=True)):
                if content_checksum(plane.tobytes()) != checksum:
                    yield path, f"does not hold what was written of date {number + 1}"


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
