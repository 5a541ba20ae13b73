"""Source files whose bytes are read once: what they hold is hashed on the way to GDAL."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlssm.errors import ChangedError, DataError
from mlssm.provenance import SETTLED_NS, State, state_of
from mlssm.sources.opening import DRIVERS, Content, stands_alone
from mlssm.sources.streamed import Streamed

# a larger file, or one that others lie beside, is read bit by bit
LARGEST = 64 << 20


@dataclass
class Contents:
    """The files that one task reads.

    Attributes:
        expected: State (size, time of change, inode) in which each was found before, by its path.
        largest: Up to how many bytes a file is read at once.
        digests: SHA-256 of those that were read so far.
        settled: Which of them had not changed for long when they were read, so that their state tells a change.
    """

    expected: Mapping[Path, State]
    largest: int = LARGEST
    digests: dict[Path, str] = field(default_factory=dict)
    settled: set[Path] = field(default_factory=set)
    _streams: dict[Path, Streamed] = field(default_factory=dict)
    _held: dict[Path, tuple[Content, int]] = field(default_factory=dict)

    @contextmanager
    def lent(self, path: Path) -> Iterator[Content]:
        """What a file holds, for as long as it is needed; where two need it at once, it is there once.

        Raises:
            DataError: It cannot be read.
            ChangedError: It is not what it was before.
        """
        content, users = self._held.get(path) or (self._content(path), 0)
        self._held[path] = content, users + 1
        try:
            yield content
        finally:
            content, users = self._held.pop(path)
            if users > 1:
                self._held[path] = content, users - 1
            elif isinstance(content, Streamed):
                content.forget()

    def read(self, path: Path) -> Content:
        """The bytes of a file, or what reads them.

        Raises:
            OSError: It cannot be read.
            ChangedError: It is not what it was before.
        """
        self._refuse_changed(path)
        if time.time_ns() - self.expected[path][1] > SETTLED_NS:
            self.settled.add(path)
        if path.suffix.lower() not in DRIVERS and self.expected[path][0] <= self.largest and stands_alone(path):
            held = path.read_bytes()
            self.digests[path] = hashlib.sha256(held).hexdigest()
            return held
        if path not in self._streams:
            stream = Streamed(path)
            stream.at(0, 1)  # GDAL says less of a file that may not be read
            self._streams[path] = stream
        return self._streams[path]

    def check(self) -> None:
        """Refuse files that have changed since they were found.

        Raises:
            ChangedError: One has.
        """
        for path, stream in self._streams.items():
            with suppress(OSError):  # who lists the digests in the end reads it, and says what is wrong with it
                self.digests[path] = stream.digest()
        for path in self.expected:
            self._refuse_changed(path)

    def notes(self) -> dict[str, Any]:
        """State, digest, and whether it was settled, of each file that was read, as JSON can hold it."""
        return {str(path): [self.expected[path], sha, path in self.settled] for path, sha in self.digests.items()}

    def _content(self, path: Path) -> Content:
        try:
            return self.read(path)
        except OSError as error:
            cure = "replace it, or leave it out with on_bad_file=skip"
            raise DataError(f"{path} cannot be read ({error.strerror}); {cure}") from error

    def _refuse_changed(self, path: Path) -> None:
        before, now = self.expected[path], state_of(path) if path.is_file() else (0, 0, 0)
        if now != before:
            raise ChangedError(
                f"{path} changed while the area was prepared: {before[0]} bytes before, {now[0]} now, or written anew; "
                "start the same command again once nothing writes into the area's folder: it goes on from what is done"
            )
