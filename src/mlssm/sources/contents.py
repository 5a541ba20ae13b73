"""Source files that are read whole, once: what they hold is hashed on the way, and GDAL reads it from memory."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from mlssm.errors import ChangedError
from mlssm.provenance import SETTLED_NS, State, sha256, state_of
from mlssm.sources.opening import DRIVERS, stands_alone

# a larger file, or one that others lie beside, is read by GDAL from the disk, after it was hashed
LARGEST = 256 << 20


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

    def read(self, path: Path) -> bytes | None:
        """The bytes of a file; None: it is to be read from the disk.

        Raises:
            OSError: It cannot be read.
            ChangedError: It is not what it was before.
        """
        self._refuse_changed(path)
        if time.time_ns() - self.expected[path][1] > SETTLED_NS:
            self.settled.add(path)
        held = None
        if path.suffix.lower() not in DRIVERS and self.expected[path][0] <= LARGEST and stands_alone(path):
            held = path.read_bytes()
        if path not in self.digests:
            self.digests[path] = sha256(path) if held is None else hashlib.sha256(held).hexdigest()
        return held

    def check(self) -> None:
        """Refuse files that have changed since they were read.

        Raises:
            ChangedError: One has.
        """
        for path in self.digests:
            self._refuse_changed(path)

    def _refuse_changed(self, path: Path) -> None:
        before, now = self.expected[path], state_of(path)
        if now != before:
            raise ChangedError(
                f"{path} changed while the area was prepared: {before[0]} bytes before, {now[0]} now, or written anew; "
                "start the same command again once nothing writes into the area's folder: it goes on from what is done"
            )
