"""What the files of a folder held when they were written, and which of them have changed since: BLAKE2b, 128 bits."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder; hidden ones are others' (Finder's)."""
    for here, _, names in os.walk(folder):
        yield from (Path(here) / name for name in names if not name.startswith("."))


def file_checksums(folder: Path) -> dict[str, str]:
    """The checksum of each file in the folders below a folder, by its path from there."""
    return {name: _checksum(path) for name, path in _in_folders(folder).items()}


def value_checksum(values: Mapping[str, Any]) -> str:
    """The checksum of what JSON can hold, whatever the order of its keys."""
    return _new(json.dumps(values, sort_keys=True).encode()).hexdigest()


def damaged(folder: Path, written: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with each file that is not as `file_checksums` once found it, by its path below the folder."""
    there = _in_folders(folder)
    faults = {name: _fault(there.get(name), checksum) for name, checksum in written.items()}
    faults |= dict.fromkeys(there.keys() - written.keys(), "was not written with the others")
    return {name: fault for name, fault in sorted(faults.items()) if fault}


def _in_folders(folder: Path) -> dict[str, Path]:
    found = {path.relative_to(folder).as_posix(): path for path in files_below(folder) if path.parent != folder}
    return dict(sorted(found.items()))


def _fault(path: Path | None, checksum: str) -> str:
    if path is None:
        return "is gone"
    try:
        return "" if _checksum(path) == checksum else "does not hold what was written"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _new).hexdigest()


def _new(content: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(content, digest_size=16)
