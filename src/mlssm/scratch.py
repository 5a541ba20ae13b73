"""Arrays that would grow with the area: small ones in memory, large ones in files that vanish with the process.

Pages of files that were read or written stay mapped, and count as the process's memory (RSS), although the system
drops them as it needs room. Where memory is limited by that count, as in a container, it would end the process: so
`let_go` unmaps them, which loses nothing, and loops over bands of an area call it once they are many.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError

LARGE = 32 * 2**20
"""Bytes from which an array is a file: few enough in memory, and few enough files open."""
MOST_MAPPED = 384 * 2**20
"""Bytes of files' pages that stay mapped from one part of an area to the next."""
STATM = Path("/proc/self/statm")  # of Linux
ON_DISK = Path("/var/tmp")
"""For large files (Filesystem Hierarchy Standard 3.0, 5.15); /tmp is often kept in memory."""

_MAPPINGS: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_LOCK = threading.Lock()
Part = TypeVar("Part")
Result = TypeVar("Result")


def scratch(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros, to be filled block by block; one of `LARGE` bytes or more is a memory-mapped file.

    The system writes a file's pages out and drops them as it needs memory. The file has no name: nothing is left behind
    by a process that is killed. It lies in the folder that TMPDIR names, else in /var/tmp.

    Raises:
        DataError: The disk has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.zeros(shape, dtype)
    folder = scratch_folder()
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # a page without room on the disk would end the process without a word
            _reserve(file.fileno(), size)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise DataError(
                f"{folder} has no room for {size / 1e9:.1f} GB of intermediate maps ({error.strerror}); free some "
                "space there, or set TMPDIR to a folder on a larger disk"
            ) from error
        return watched(np.memmap(file, dtype, "r+", shape=shape))


def watched(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array, whose pages are let go with all others if it is memory-mapped."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None:
        with _LOCK:
            _MAPPINGS.add(mapping)
    return array


def let_go() -> None:
    """Unmap the pages of all mapped arrays: what was written stays, and is read again when it is asked for."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    with _LOCK:
        mappings = list(_MAPPINGS)
    for mapping in mappings:
        mapping.madvise(mmap.MADV_DONTNEED)


def trim() -> None:
    """Let pages of mapped files go if they are many."""
    if _mapped() > MOST_MAPPED:
        let_go()


def trimming(parts: Iterable[Part], every: int = 1) -> Iterator[Part]:
    """The same parts of an area; after each, or every few, memory is trimmed."""
    for number, part in enumerate(parts, 1):
        yield part
        if number % every == 0:
            trim()


@dataclass(frozen=True)
class Trimmed(Generic[Part, Result]):
    """A task, after which memory is trimmed: of one of several workers.

    Attributes:
        task: It.
    """

    task: Callable[[Part], Result]

    def __call__(self, part: Part) -> Result:
        """What it comes to; other threads go on with what they have mapped."""
        found = self.task(part)
        trim()
        return found


def _mapped() -> int:
    """Bytes of files that are mapped and in memory; 0 where the system does not tell."""
    if not STATM.exists():
        return 0
    return int(STATM.read_text(encoding="ascii").split()[2]) * mmap.PAGESIZE


def _reserve(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:  # macOS
        os.truncate(file, size)


def scratch_folder() -> Path:
    """Where large arrays are kept."""
    if "TMPDIR" not in os.environ and os.access(ON_DISK, os.W_OK):
        return ON_DISK
    return Path(tempfile.gettempdir())
