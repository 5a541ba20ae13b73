"""Digests of files and settings, by which a result is recognised."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SETTLED_NS = 2_000_000_000  # a file that changed less than 2 s ago may change again within its time stamp


def file_digests(root: Path, paths: Iterable[Path], memory: Path | None = None) -> dict[str, str]:
    """SHA-256 of each file, sorted by its path: below `root`, or as given where it lies elsewhere.

    Args:
        root: The folder.
        paths: The files.
        memory: A JSON file that remembers digests, so that a file whose size, time of change and inode are those of
            before is not read again; None to read all. A change that leaves all three as they were is not noticed.
    """
    known = {} if memory is None else _remembered(memory)
    found, stated = {}, {}
    for path in sorted(paths):
        name = (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
        state = _state(path)
        before = known.get(str(path.absolute()))
        found[name] = before[1] if before is not None and before[0] == state else _sha256(path)
        if time.time_ns() - state[1] > SETTLED_NS:
            stated[str(path.absolute())] = (state, found[name])
    if memory is not None and stated != {path: known.get(path) for path in stated}:
        _remember(memory, known | stated)
    return found


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of JSON-like values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


State = tuple[int, int, int]  # size, time of change in nanoseconds, inode


def _state(path: Path) -> State:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _sha256(path: Path) -> str:
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
