"""A remote file that is read by parts: each asked for as patiently as a download, kept, and counted."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

from mlssm.errors import DataError
from mlssm.origins.answers import Missing
from mlssm.origins.download import NO_CREDENTIAL, Downloads, Sign
from mlssm.origins.patience import FaultForNow, patiently

HEADER = 1 << 15  # bytes that a first request brings: of a COG, all of its header in most cases
LEAST = 1 << 12  # no request asks for less: the reader steps through tables by a few bytes
GAP = 1 << 14  # ranges this near each other are one request: bytes cost less than another round
TOTAL = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class RangeFile(io.RawIOBase):
    """A file at an address, to be read as one that is open; GDAL reads a COG through it.

    Attributes:
        read_bytes: How many bytes came.
        requests: How many requests that took.
        fault: What ended a read inside GDAL, which knows no exceptions.
    """

    def __init__(
        self, downloads: Downloads, url: str, sign: Sign | None = None, credential: str = NO_CREDENTIAL
    ) -> None:
        """Ask for the file's beginning.

        Raises:
            DataError: There is no such file, or the server does not give parts.
        """
        super().__init__()
        self._downloads, self._url, self._sign, self._credential = downloads, url, sign, credential
        self._parts: dict[int, bytes] = {}
        self._at = self._size = self.read_bytes = self.requests = 0
        self._validator: str | None = None
        self.fault: DataError | None = None
        self._fetch(0, HEADER)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._size

    def close(self) -> None:
        """Stay open: GDAL closes it each time that it has looked at it."""

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch parts, each a first byte and a length; those that lie near each other by one request."""
        joined: list[list[int]] = []
        for start, length in sorted(ranges):
            if joined and start <= joined[-1][1] + GAP:
                joined[-1][1] = max(joined[-1][1], start + length)
            else:
                joined.append([start, start + length])
        for start, end in joined:
            if self._held(start, end - start) is None:
                self._fetch(start, end - start)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on; fewer at the end of the file, none where there is a fault."""
        length = max(min(self._size - self._at, size if size >= 0 else self._size), 0)
        if not length:
            return b""
        found = self._held(self._at, length)
        if found is None:
            try:
                found = self._fetch(self._at, max(length, min(LEAST, self._size - self._at)))[:length]
            except DataError as error:
                self.fault = error
                return b""
        self._at += length
        return found

    def readall(self) -> bytes:
        """All from here on."""
        return self.read(-1)

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill a buffer from here on."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _held(self, start: int, length: int) -> bytes | None:
        for first, part in self._parts.items():
            if first <= start and start + length <= first + len(part):
                return part[start - first : start - first + length]
        return None

    def _fetch(self, start: int, length: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}

        def attempt() -> bytes:
            answer = self._downloads.request(self._url, headers=headers, sign=self._sign, credential=self._credential)
            match = TOTAL.fullmatch(answer.headers.get("Content-Range", ""))
            if answer.status_code != 206 or match is None:
                raise DataError(f"{self._url} cannot be read by parts; its server ignores Range")
            first, last, self._size = (int(number) for number in match.groups())
            # requests does not notice an answer that is too short
            if first != start or len(answer.content) != last - first + 1:
                raise FaultForNow(f"{len(answer.content)} bytes came of {last - first + 1}")
            self._refuse_another(answer.headers.get("ETag"))
            return answer.content

        content = patiently(attempt, self._url, self._downloads.config, self._downloads.stop)
        self.requests += 1
        self.read_bytes += len(content)
        self._parts[start] = content
        return content

    def _refuse_another(self, etag: str | None) -> None:
        if self._validator is not None and etag is not None and etag != self._validator:
            raise Missing(f"{self._url} was replaced by another file while it was read; run it again")
        self._validator = etag or self._validator
