"""Writing so that what is half-written never looks whole, and saying what is wrong with a disk."""

from __future__ import annotations

import errno
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

FULL = "No space left on device", "disk is full", "Disk quota exceeded"  # of the system, of SQLite
READ_ONLY = "Read-only file system", "readonly database"
CURES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose a folder that you may write, or change its permissions",
    errno.EPERM: "choose a folder that you may write, or change its permissions",
}
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
    sweep(path.parent)
    partial = _partial(path)
    try:
        yield partial
        try:
            placed(partial, path)
        except OSError:
            if not path.is_dir():  # else another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def flush(*paths: Path) -> None:
    """Force files, and what folders list, to the disk: after a power cut they are there as they were written.

    Raises:
        OSError: The disk is full, or broken.
    """
    for path in paths:
        with naming(path):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def flush_below(folder: Path) -> None:
    """Force a folder and all that is below it to the disk; what is there already costs next to nothing.

    Raises:
        OSError: The disk is full, or broken.
    """
    for here, _, names in os.walk(folder):
        flush(*(Path(here) / name for name in names), Path(here))


def placed(made: Path, path: Path) -> None:
    """Move what was made, with all that is below it, to its place, once it is on the disk.

    Raises:
        OSError: The disk is full, or broken; or something else is there.
    """
    if made.is_dir():
        flush_below(made)
    else:
        flush(made)
    made.replace(path)
    flush(path.parent)


@contextmanager
def passing_folder(beside: Path) -> Iterator[Path]:
    """A folder beside a path that is there as long as the block; a killed process's is removed by the next one."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    sweep(beside.parent)
    folder = _partial(beside)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write that takes the place of `path` if the block ends well; what else is written beside it vanishes.

    A killed writer leaves `path` as it was; the next writing beside it removes the rest.
    """
    with passing_folder(path) as folder:
        made = folder / path.name
        yield made
        made.replace(path)


def _partial(path: Path) -> Path:
    """A name beside a path that tells whose it is."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let a fault of the disk while a file is written name the file, which the system does not."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def disk_fault(error: BaseException | None) -> str | None:
    """What is wrong with the disk or a folder on it, with its cure, where an exception is or comes from such a fault.

    A full disk, one that is mounted to be read alone, and missing permissions; None for all else.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in CURES:
            place = f"{error.filename}: " if error.filename else ""
            return f"{place}{os.strerror(error.errno)}; {CURES[error.errno]}"
        text = str(error).partition("\n")[0]
        for words, number in ((FULL, errno.ENOSPC), (READ_ONLY, errno.EROFS)):
            if any(word in text for word in words):
                return f"{text[:300]}; {CURES[number]}"
        error = error.__cause__ or error.__context__
    return None


def sweep(folder: Path) -> None:
    """Remove the partial folders that processes of this host left in a folder when they were killed."""
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
