"""Arrays that would grow with the area: small ones in memory, large ones in files that vanish with the process."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.errors import DataError

LARGE = 32 * 2**20
"""Bytes from which an array is a file: few enough in memory, and few enough files open."""
ON_DISK = Path("/var/tmp")
"""For large files (Filesystem Hierarchy Standard 3.0, 5.15); /tmp is often kept in memory."""


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
        return np.memmap(file, dtype, "r+", shape=shape)


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
