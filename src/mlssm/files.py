"""Writing so that what is half-written never looks whole."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

PARTIAL = re.compile(r"\..+\.(?P<host>[^.]+)\.(?P<pid>\d+)\.[0-9a-f]{8}\.partial")


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """A folder to write into that becomes `path` only if the block ends well.

    A killed writer leaves no `path`, but its partial folder; the next writing beside it removes that.

    Args:
        path: The folder to make; where it is there already at the end, that one stays.

    Yields:
        The partial folder, beside `path`; the block creates it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    partial = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        try:
            partial.rename(path)
        except OSError:
            if not path.is_dir():  # else another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove the partial folders of processes of this host that are gone."""
    for entry in folder.iterdir():
        match = PARTIAL.fullmatch(entry.name)
        if match and match["host"] == _host() and not _is_running(int(match["pid"])):
            log.info("removing %s, which a writer that is gone left behind", entry)
            shutil.rmtree(entry, ignore_errors=True)


def _host() -> str:
    """This machine's name without its domain: on a shared disk, another machine's writers are not ours to judge."""
    return socket.gethostname().partition(".")[0]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # someone else's, or not a number of ours: leave it
        return True
    return True
