"""The most that a process takes inside a block: memory of its own, memory with files' pages, and room on the disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from mlssm.scratch import scratch_folder

INTERVAL = 0.005  # seconds between two looks
Use = tuple[int, int, int]


class Peak:
    """Looks at this process every few milliseconds, and keeps the most above what there was before, bytes.

    Attributes:
        own: Memory that is nobody's file, which the system cannot drop (`RssAnon` of Linux).
        mapped: The same and the pages of mapped files that lie in memory (`VmRSS`), which it drops as it needs room.
        disk: What the disk of large arrays has less of; of all processes, so that it wants an idle machine.
    """

    def __enter__(self) -> Peak:
        """Begin to look."""
        self._before, self._most, self._done = _now(), _now(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look a last time, and stop."""
        self._done.set()
        self._thread.join()
        self._most = _larger(self._most, _now())
        self.own, self.mapped, self.disk = (
            most - before for most, before in zip(self._most, self._before, strict=True)
        )

    def _look(self) -> None:
        while not self._done.wait(INTERVAL):
            self._most = _larger(self._most, _now())


def _larger(left: Use, right: Use) -> Use:
    own, mapped, disk = (max(pair) for pair in zip(left, right, strict=True))
    return own, mapped, disk


def _now() -> Use:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = {
        name: int(value.split()[0])
        for name, value in (line.split(":", 1) for line in lines)
        if name[1:4] == "ssA" or name == "VmRSS"
    }
    disk = os.statvfs(scratch_folder())
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    return 1024 * kilobytes["RssAnon"], 1024 * kilobytes["VmRSS"], used
