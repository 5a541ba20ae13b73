"""Whether a process that wrote something is still there, and how a new one begins."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

CLOCK_SECONDS = 5.0  # by how much a start time may differ after the clock was set


def is_running(pid: int, started: float) -> bool:
    """Whether a process of this machine runs, and is the one that is meant: numbers are given again.

    Args:
        pid: Its number.
        started: When it started, seconds since 1970.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < CLOCK_SECONDS
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def slow_imports() -> Iterator[None]:
    """Import without looking for garbage in what is imported, then or later: that is a fifth of the imports' time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
