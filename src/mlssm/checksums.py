"""What the files of a folder held when they were written, and which of them have changed since.

The list is one that GNU `b2sum --check` reads too: a BLAKE2b digest of 128 bits, two spaces and the file's path a line.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlssm.errors import DataError

LIST = "checksums.b2"
LINE = re.compile(r"([0-9a-f]{32})  (\S.*)")


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder; hidden ones are others' (Finder's)."""
    for here, _, names in os.walk(folder):
        yield from (Path(here) / name for name in names if not name.startswith("."))


def write_checksums(folder: Path) -> None:
    """Write the list of all files below a folder into it."""
    found = sorted((path.relative_to(folder).as_posix(), _checksum(path)) for path in files_below(folder))
    (folder / LIST).write_text("".join(f"{checksum}  {name}\n" for name, checksum in found), encoding="utf-8")


def damaged(folder: Path) -> dict[str, str]:
    """What is wrong with each file that is not as it was written, by its path below the folder.

    Raises:
        DataError: There is no list, or it is damaged itself.
    """
    written = _read(folder / LIST)
    there = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    extra = dict.fromkeys(there.keys() - written.keys() - {LIST}, "was not written with the others")
    faults = {name: _fault(there.get(name), checksum) for name, checksum in written.items()}
    return {name: fault for name, fault in sorted((faults | extra).items()) if fault}


def _fault(path: Path | None, checksum: str) -> str:
    if path is None:
        return "is gone"
    try:
        return "" if _checksum(path) == checksum else "does not hold what was written"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path} is gone, or was never written: what its folder held cannot be told") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    found = [LINE.fullmatch(line) for line in lines]
    if not found or None in found:
        raise DataError(f"{path} is damaged itself: line {found.index(None) + 1 if found else 1} is no checksum")
    return {match[2]: match[1] for match in found if match}
