"""Who writes a run: one process at a time, which others can find out to be alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from mlssm.errors import RunError
from mlssm.processes import is_running
from mlssm.tracking.tags import FOLDER

HOST, PID, STARTED = "mlssm.host", "mlssm.pid", "mlssm.pid_started"
RUN_LOCK = "run.lock"
LOCK_SECONDS = 10  # DataLoader workers hold their killed parent's lock until they notice its death, after 5 s


def writer_tags() -> dict[str, str]:
    """The tags that name this process."""
    started = psutil.Process().create_time()
    return {HOST: socket.gethostname(), PID: str(os.getpid()), STARTED: f"{started:.2f}"}


def is_alive(tags: Mapping[str, str]) -> bool | None:
    """Whether the process that a run's tags name is alive; None if they name another host, or no process."""
    if tags.get(HOST) != socket.gethostname() or PID not in tags or STARTED not in tags:
        return None
    return is_running(int(tags[PID]), float(tags[STARTED]))


def is_written(tags: Mapping[str, str]) -> bool:
    """Whether a run's process is alive, or one elsewhere holds the lock of its folder (two machines share a disk)."""
    if is_alive(tags):
        return True
    path = Path(tags.get(FOLDER, "")) / RUN_LOCK
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder, which ends with this process however that ends.

    Raises:
        RunError: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / RUN_LOCK, thread_local=False)
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise RunError(
            f"the run in {folder} is being written by another process; wait for it, or end it, before resuming the run"
        ) from None
    try:
        yield
    finally:
        lock.release()
