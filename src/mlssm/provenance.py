"""Digests of files and settings, by which a result is recognised."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SETTLED_NS = 2_000_000_000  # a file that changed less than 2 s ago may change again within its time stamp


class FileDigests:
    """SHA-256 of files, remembered from one command to the next."""

    def __init__(self, memory: Path | None = None) -> None:
        """Take what is remembered.

        Args:
            memory: A JSON file, so that a file whose size, time of change and inode are those of before is not read
                again; None to read all. A change that leaves all three as they were is not noticed.
        """
        self._memory = memory
        self._known = {} if memory is None else _remembered(memory)
        self._settled: dict[str, tuple[State, str]] = {}
        self._learnt: dict[str, tuple[State, str]] = {}

    def of(self, path: Path) -> str:
        """The digest of a file.

        Raises:
            OSError: It cannot be read.
        """
        state, name = state_of(path), str(path.absolute())
        if (before := self._before(name, state)) is not None:
            return before
        found = sha256(path)
        if time.time_ns() - state[1] > SETTLED_NS:
            self._settled[name] = state, found
        return found

    def knows(self, path: Path) -> bool:
        """Whether the digest of a file is known without reading it."""
        return self._before(str(path.absolute()), state_of(path)) is not None

    def _before(self, name: str, state: State) -> str | None:
        both = (self._learnt.get(name), self._known.get(name))
        return next((before[1] for before in both if before is not None and before[0] == state), None)

    def learn(self, path: Path, state: State, digest: str, settled: bool) -> None:
        """Take the digest of a file that was read elsewhere.

        Args:
            path: The file.
            state: In which it was read.
            digest: Of it.
            settled: Whether it had not changed for long then.
        """
        self._learnt[str(path.absolute())] = state, digest
        if settled:
            self._settled[str(path.absolute())] = state, digest

    def learn_all(self, noted: Mapping[str, Any]) -> None:
        """Take state, digest, and whether it was settled, of files that tasks read, by their paths."""
        for path, (state, found, settled) in noted.items():
            size, time_ns, inode = state
            self.learn(Path(path), (size, time_ns, inode), found, settled)

    def keep(self) -> None:
        """Remember what was found."""
        if self._memory is not None and any(self._known.get(name) != item for name, item in self._settled.items()):
            _remember(self._memory, self._known | self._settled)


def name_below(root: Path, path: Path) -> str:
    """A file's path below a folder, or as given where it lies elsewhere, with forward slashes."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of JSON-like values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


State = tuple[int, int, int]  # size, time of change in nanoseconds, inode


def state_of(path: Path) -> State:
    """What tells that a file has changed."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def sha256(path: Path) -> str:
    """The digest of a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remembered(memory: Path) -> dict[str, tuple[State, str]]:
    """What is not there or not readable is as good as nothing: the files are read."""
    try:
        values = json.loads(memory.read_bytes())
        return {str(path): ((int(a), int(b), int(c)), str(sha)) for path, ((a, b, c), sha) in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(memory: Path, values: Mapping[str, tuple[State, str]]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    partial = memory.with_name(f"{memory.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(values), encoding="utf-8")
    partial.replace(memory)
