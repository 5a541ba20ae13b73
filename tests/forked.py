"""What is done by a copy of the test's process, which can be killed, and what it leaves on the disk."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dask import threaded

Bytes = dict[str, bytes]


def begun(target: Callable[..., Any], *arguments: Any) -> Any:
    """Another process that runs a function."""
    process = multiprocessing.get_context("fork").Process(target=_run_alone, args=(target, *arguments))
    process.start()
    return process


def _run_alone(target: Callable[..., Any], *arguments: Any) -> None:
    threaded.pools.clear()  # their threads are the parent's
    threaded.default_pool = None
    target(*arguments)


def content(folder: Path) -> Bytes:
    """All files below a folder, but what is remembered of digests."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "digests.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
