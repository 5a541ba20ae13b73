"""Whether a process that wrote something is still there."""

from __future__ import annotations

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
