"""Who runs a trial, and whether that process is still there."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlssm.processes import is_running

if TYPE_CHECKING:
    from optuna import Trial

log = logging.getLogger(__name__)

OWNER = "owner"


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: The machine, and on Linux the name space that its process numbers belong to.
        pid: The process number.
        started: When the process started, seconds since 1970: numbers are used again.
        beat: Its last sign of life, seconds since 1970.
    """

    host: str
    pid: int
    started: float
    beat: float

    @classmethod
    def here(cls) -> Owner:
        """This process, now."""
        import psutil

        return cls(_host(), os.getpid(), psutil.Process().create_time(), time.time())

    @classmethod
    def read(cls, values: Any) -> Owner | None:
        """From what a study keeps."""
        return cls(**values) if values else None

    def keep(self) -> dict[str, Any]:
        """As a study can keep it."""
        return asdict(replace(self, beat=time.time()))

    def alive(self, grace_s: float) -> bool:
        """Whether the process is there; of another machine's, whether it gave a sign within the grace period."""
        if self.host != _host():
            return time.time() - self.beat <= grace_s
        return is_running(self.pid, self.started)


def _host() -> str:
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {space.readlink() if space.exists() else ''}".strip()


@contextmanager
def beating(trials: Sequence[Trial], every_s: float) -> Iterator[None]:
    """Give signs of life for running trials, while the block runs; a storage that fails meanwhile is tried again."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    owner, done = Owner.here(), threading.Event()

    def beat() -> None:
        while not done.wait(every_s):
            for trial in trials:
                try:
                    trial.set_user_attr(OWNER, owner.keep())
                except (OptunaError, SQLAlchemyError, OSError) as error:
                    log.warning("trial %d: no sign of life could be given: %s", trial.number, str(error)[:300])

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
