"""Large files as GDAL reads them: their bytes come from the disk once, in order, and are hashed on the way."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from rasterio.abc import FileContainer

PIECE = 1 << 20  # bytes that are read at once
# what is kept of a file behind the place up to which it is hashed: a row of shards of a whole scene, bytes
KEPT = 256 << 20
# what may be read ahead of that place, bytes: headers and tables that stand at a file's end
AHEAD = 16 << 20


class Streamed(FileContainer):  # type: ignore[misc]  # rasterio is not typed
    """One file for `rasterio.open(path, opener=...)`. What lies beside it is read as it is.

    A rasterio window needs bytes at some place of the file. Those up to this place are read, hashed and kept for the
    windows to come; where they have been dropped since, they are read again. Rows of tiles mostly stand in a file one
    after the other, so that this is seldom.
    """

    def __init__(self, path: Path, kept: int = KEPT) -> None:
        """Read nothing yet.

        Args:
            path: The file.
            kept: How many bytes are kept.

        Raises:
            OSError: It is not there.
        """
        self._path, self._most = path, max(kept // PIECE, 1)
        self._size = path.stat().st_size
        self._hash = hashlib.sha256()
        self._pieces: dict[int, bytes] = {}
        self._next, self._spare = 0, AHEAD

    def digest(self) -> str:
        """SHA-256 of the file, of which the rest is read.

        Raises:
            OSError: It cannot be read.
        """
        while self._next * PIECE < self._size:
            self.forget()
            self._advance()
        self.forget()
        return self._hash.hexdigest()

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._pieces.clear()

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self._size

    def at(self, start: int, count: int) -> bytes:
        """Bytes of the file; fewer at its end.

        Raises:
            OSError: They cannot be read.
        """
        end = min(start + count, self._size)
        found = []
        while start < end:
            stop = min(end, (start // PIECE + 1) * PIECE)
            found.append(self._part(start, stop))
            start = stop
        return b"".join(found)

    def _part(self, start: int, stop: int) -> bytes:
        """Bytes of one piece."""
        number = start // PIECE
        distance = number - self._next
        if distance < 0 and number not in self._pieces:
            return self._read(start, stop)  # was dropped
        if distance >= self._most and self._spare >= stop - start:
            self._spare -= stop - start
            return self._read(start, stop)
        while self._next <= number:
            self._advance()
        return self._pieces[number][start - number * PIECE : stop - number * PIECE]

    def _advance(self) -> None:
        start = self._next * PIECE
        piece = self._read(start, min(start + PIECE, self._size))
        self._hash.update(piece)
        self._pieces[self._next] = piece
        self._next += 1
        if len(self._pieces) > self._most:
            del self._pieces[next(iter(self._pieces))]  # the first that came

    def _read(self, start: int, stop: int) -> bytes:
        with self._path.open("rb", buffering=0) as file:  # for a mosaic of a country all at once are too many
            file.seek(start)
            found = file.read(stop - start)
        if len(found) < stop - start:
            raise OSError(f"{self._path} ended early")
        return found

    # what rasterio calls, for this file and those that GDAL looks for beside it

    def open(self, path: str, mode: str = "r", **_: object) -> Cursor | BinaryIO:
        """A file, to be read."""
        return Cursor(self) if path == str(self._path) else Path(path).open("rb")

    def isfile(self, path: str) -> bool:
        """Whether a file is there."""
        return Path(path).is_file()

    def isdir(self, path: str) -> bool:
        """Whether a folder is there."""
        return Path(path).is_dir()

    def ls(self, path: str) -> list[str]:
        """A folder of thousands of images is not listed."""
        return []

    def mtime(self, path: str) -> int:
        """Time of change, seconds."""
        return int(Path(path).stat().st_mtime)

    def size(self, path: str) -> int:
        """Size in bytes."""
        return Path(path).stat().st_size

    def rm(self, path: str) -> None:
        """Source files are only read."""
        raise PermissionError(path)


class Cursor:
    """A place in a streamed file, from which it is read."""

    def __init__(self, stream: Streamed) -> None:
        """Begin at the beginning."""
        self._stream, self._place = stream, 0

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        try:
            found = self._stream.at(self._place, self._stream.length if count < 0 else count)
        except OSError:  # GDAL misses the bytes, and names the file; what is raised here would reach nobody
            return b""
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._stream.length}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """Where it is."""
        return self._place

    def close(self) -> None:
        """Others read on."""

    def __enter__(self) -> Self:
        """As a file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As a file."""
