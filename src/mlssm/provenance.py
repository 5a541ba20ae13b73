"""Digests of files and settings, by which a result is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

UNREADABLE = "unreadable"


def file_digests(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each file, sorted by its path: below `root`, or as given where it lies elsewhere.

    What is no file or cannot be read has `UNREADABLE` instead: its reader is who says what is wrong with it.
    """
    found = {}
    for path in sorted(paths):
        name = path.relative_to(root) if path.is_relative_to(root) else path
        found[name.as_posix()] = _file_digest(path)
    return found


def _file_digest(path: Path) -> str:
    if not path.is_file():  # to open a pipe would wait for ever
        return UNREADABLE
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of JSON-like values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
