"""What a job prints and logs, kept as a file."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from mlssm.errors import Pruned
from mlssm.secrets import without_password

CONSOLE = "console.log"
COLOUR = re.compile(r"\x1b\[(?:[\d;]*m|\?25[hl])")  # and the cursor shown or hidden
PLAIN = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")


class ConsoleLog:
    """A file of whole lines. Lines that a terminal would overwrite (of progress bars) are left out, colours too.

    A disk that is full ends no training here: what does not fit is left out, and what else is written tells of it.
    """

    def __init__(self, file: TextIO) -> None:
        """Write to an open file."""
        self._file, self._lock, self._rest = file, threading.RLock(), ""

    def write(self, text: str) -> None:
        """Take a piece of text; it is in the file once its line has ended. After `close` nothing is taken."""
        with self._lock:
            if self._file.closed:
                return  # somebody kept the stream
            *lines, self._rest = (self._rest + text).split("\n")
            with contextlib.suppress(OSError):
                for line in lines:
                    plain = COLOUR.sub("", line.removesuffix("\r"))
                    if "\r" not in plain and "\x1b" not in plain:
                        self._file.write(without_password(plain) + "\n")
                self._file.flush()

    def close(self) -> None:
        """End the last line and close the file."""
        with self._lock:
            if self._rest:
                self.write("\n")
            with contextlib.suppress(OSError):
                self._file.close()


class Unbreakable:
    """A stream whose reader may go: a pipe that is closed (`train.py | head -1`), a terminal that is gone."""

    def __init__(self, stream: TextIO) -> None:
        """Stand in for a stream."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what is still read."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Let the reader have it."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's own."""
        return getattr(self._stream, name)


class Tee(Unbreakable):
    """A stream that a console log overhears; what the stream no longer takes is in the log alone."""

    def __init__(self, stream: TextIO, console: ConsoleLog) -> None:
        """Stand in for a stream."""
        super().__init__(stream)
        self._console = console

    def write(self, text: str) -> int:
        """Write to both."""
        self._console.write(text)
        return super().write(text)


@contextmanager
def console_log(path: Path) -> Iterator[ConsoleLog]:
    """Append what is printed to stdout, what reaches the root logger and what is raised to a file, in the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    goes_on = path.is_file() and path.stat().st_size > 0
    console = ConsoleLog(path.open("a", encoding="utf-8", errors="backslashreplace"))
    if goes_on:
        console.write(f"--- goes on {time.strftime('%Y-%m-%d %H:%M:%S %z')} ---\n")
    root, handler = logging.getLogger(), _handler(console)
    root.addHandler(handler)
    before, sys.stdout = sys.stdout, cast(TextIO, Tee(sys.stdout, console))
    try:
        yield console
    except Pruned as pruned:
        console.write(f"{pruned}\n")
        raise
    except BaseException:
        console.write(traceback.format_exc())
        raise
    finally:
        sys.stdout = before
        root.removeHandler(handler)
        console.close()


def _handler(console: ConsoleLog) -> logging.StreamHandler[ConsoleLog]:
    """Writes records in the format that they have elsewhere."""
    handler = logging.StreamHandler(console)
    handler.setFormatter(next((item.formatter for item in logging.getLogger().handlers if item.formatter), PLAIN))
    return handler
