"""What the files of a folder held when they were written, and which of them have changed since: xxh3, 128 bits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xxhash

BLOCK = 1 << 20  # bytes that are read at once


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder; hidden ones are others' (Finder's)."""
    for here, _, names in os.walk(folder):
        yield from (Path(here) / name for name in names if not name.startswith("."))


def file_checksums(folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The checksum of each file in the folders below a folder, by its path from there.

    Args:
        folder: The folder.
        known: Checksums that need not be computed.
    """
    known = known or {}
    return {name: known.get(name) or file_checksum(path) for name, path in _in_folders(folder).items()}


def value_checksum(values: Mapping[str, Any]) -> str:
    """The checksum of what JSON can hold, whatever the order of its keys."""
    return content_checksum(json.dumps(values, sort_keys=True).encode())


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
        return "" if file_checksum(path) == checksum else "does not hold what was written"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def file_checksum(path: Path) -> str:
    """The checksum of a file.

    Raises:
        OSError: It cannot be read.
    """
    found = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def content_checksum(content: bytes | memoryview) -> str:
    """The checksum of bytes in memory."""
    return xxhash.xxh3_128_hexdigest(content)
