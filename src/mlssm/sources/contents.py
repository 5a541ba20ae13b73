"""Source files whose bytes are read once: what they hold is hashed on the way to GDAL."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from mlssm.errors import ChangedError, DataError
from mlssm.provenance import SETTLED_NS, State, state_of
from mlssm.sources.opening import DRIVERS, Content, stands_alone
from mlssm.sources.streamed import Streamed

# a larger file, or one that others lie beside, is read bit by bit, bytes
LARGEST = 64 << 20


@dataclass
class Contents:
    """The files that one task reads.

    Attributes:
        expected: State (size, time of change, inode) in which each was found before, by its path.
        digests: SHA-256 of those that were read so far.
        settled: Which of them had not changed for long when they were read, so that their state tells a change.
    """

    expected: dict[Path, State]
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
        if path.suffix.lower() not in DRIVERS and self.expected[path][0] <= LARGEST and stands_alone(path):
            held = path.read_bytes()
            self.digests[path] = hashlib.sha256(held).hexdigest()
            return held
        if path not in self._streams:
            self._streams[path] = Streamed(path)
        return self._streams[path]

    def check(self) -> None:
        """Refuse files that have changed since they were read.

        Raises:
            ChangedError: One has.
            OSError: The rest of one cannot be read.
        """
        for path, stream in self._streams.items():
            self.digests[path] = stream.digest()
        for path in self.digests:
            self._refuse_changed(path)

    def __enter__(self) -> Self:
        """Nothing is opened yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        for stream in self._streams.values():
            stream.close()

    def _content(self, path: Path) -> Content:
        try:
            return self.read(path)
        except OSError as error:
            cure = "replace it, or leave it out with on_bad_file=skip"
            raise DataError(f"{path} cannot be read ({error.strerror}); {cure}") from error

    def _refuse_changed(self, path: Path) -> None:
        before, now = self.expected[path], state_of(path)
        if now != before:
            raise ChangedError(
                f"{path} changed while the area was prepared: {before[0]} bytes before, {now[0]} now, or written anew; "
                "start the same command again once nothing writes into the area's folder: it goes on from what is done"
            )
