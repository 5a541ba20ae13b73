"""A file on its way: gone on with where it broke off, checked, and named only when it is whole."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError as BrokenRead

from mlssm.errors import DataError
from mlssm.files import naming
from mlssm.origins.patience import FaultForNow, Stopped
from mlssm.progress import Transfer

PIECE = 1 << 18  # bytes that are written at once
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class PartialFile:
    """`.NAME.part` beside a file's place, and `.NAME.part.json` with the validator of what it began with."""

    def __init__(self, path: Path, size: int | None, checksum: str | None) -> None:
        """Take the file's place, and its size and checksum (`sha256:...`, `md5:...`) where they are known."""
        self.path, self.size, self.checksum = path, size, checksum
        self.part = path.with_name(f".{path.name}.part")
        self.note = path.with_name(f".{path.name}.part.json")
        self._mismatches = self._told = self._furthest = 0

    def resume(self) -> dict[str, str]:
        """The headers that ask for the rest; none where there is no start, or nothing tells that it is of this file."""
        there = self.part.stat().st_size if self.part.exists() else 0
        validator = self._validator()
        if not there or validator is None:
            self.discard()
            return {}
        return {"Range": f"bytes={there}-", "If-Range": validator}

    def discard(self) -> None:
        """Begin anew."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def receive(self, answer: requests.Response, stop: threading.Event, shown: Transfer | None) -> str | None:
        """Write an answer's bytes, and name the file when they are all there.

        Args:
            answer: Of status 200 or 206, its content not read yet.
            stop: Ends it.
            shown: Is told the bytes.

        Returns:
            The file's ETag, where the service gives one.

        Raises:
            FaultForNow: The answer broke off; what came of it is kept.
            DataError: The file is not what it should be, twice.
        """
        start = self._start(answer)
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity" and self.path.suffix != ".gz"
        total = None if encoded else _total(answer, start)
        self._remember(answer)
        got = start
        try:
            with naming(self.part), self.part.open("ab" if start else "wb") as file:
                for piece in answer.raw.stream(PIECE, decode_content=encoded):
                    file.write(piece)
                    got += len(piece)
                    self._tell(got, shown)
                    if stop.is_set():
                        raise Stopped(f"{self.path.name}: stopped")
        except BrokenRead as error:
            raise self._broken(got, total) from error
        if total is not None and got < total:
            raise self._broken(got, total)
        self._finish(got)
        return answer.headers.get("ETag")

    def _tell(self, got: int, shown: Transfer | None) -> None:
        """Show the bytes that were not there in an earlier trial."""
        if shown is not None and got > self._told:
            shown.bytes_done(got - self._told)
        self._told = max(self._told, got)

    def _broken(self, got: int, total: int | None) -> FaultForNow:
        went_on = got > self._furthest
        self._furthest = max(self._furthest, got)
        return FaultForNow(
            f"it broke off after {got} of {'an unknown number' if total is None else total} bytes", went_on=went_on
        )

    def _finish(self, got: int) -> None:
        wrong = self._wrong(got)
        if wrong is None:
            self.part.replace(self.path)
            self.note.unlink(missing_ok=True)
            return
        self.discard()
        self._mismatches += 1
        if self._mismatches > 1:
            raise DataError(f"{self.path.name}: what comes is not the file that was promised: {wrong}")
        raise FaultForNow(f"what came is not the file that was promised: {wrong}")

    def _wrong(self, got: int) -> str | None:
        if self.size is not None and got != self.size:
            return f"{got} bytes, not {self.size}"
        if self.checksum is None:
            return None
        kind, _, wanted = self.checksum.partition(":")
        with self.part.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        return None if found == wanted.lower() else f"{kind} {found}, not {wanted}"

    def _start(self, answer: requests.Response) -> int:
        """The byte that an answer begins with."""
        if answer.status_code != 206:
            return 0
        match = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        there = self.part.stat().st_size if self.part.exists() else 0
        if match is None or int(match[1]) != there:
            self.discard()
            raise FaultForNow(f"another part came than was asked for ({answer.headers.get('Content-Range')})")
        return there

    def _validator(self) -> str | None:
        try:
            return str(json.loads(self.note.read_text(encoding="utf-8"))["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, answer: requests.Response) -> None:
        """Keep what tells this file from a later one of the same address; a weak ETag does not serve (RFC 9110)."""
        etag = answer.headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
        if validator is None:
            self.note.unlink(missing_ok=True)
            return
        self.note.write_text(json.dumps({"validator": validator}), encoding="utf-8")


def _total(answer: requests.Response, start: int) -> int | None:
    """Bytes of the whole file, as the answer says."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is not None and match[3] != "*":
        return int(match[3])
    length = answer.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None
