"""A command that is told to end (SIGTERM, SIGHUP) ends as one that is interrupted: in its own order, and saying so."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CAUGHT = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
GRACE_S = 30.0  # in which a process that ends already is not told again: schedulers and terminals repeat themselves


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        """Name the signal."""
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def caught() -> Iterator[None]:
    """Raise `Stopped` in the main thread where a signal asks this process to end; one that is ignored stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in CAUGHT}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _Handler())
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def interrupt_of(error: BaseException | None) -> KeyboardInterrupt | None:
    """The interrupt that an exception is or comes from; Lightning turns one in its fit into SystemExit."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return error
        error = error.__cause__ or error.__context__
    return None


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """What the shell is told: 128 and the signal's number."""
    return 128 + (interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT)


class _Handler:
    def __init__(self) -> None:
        self._process, self._told = os.getpid(), -GRACE_S

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a copy of the process that sets no handlers of its own
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        now = time.monotonic()
        if now - self._told >= GRACE_S:
            self._told = now
            raise Stopped(number)
