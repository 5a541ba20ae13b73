"""Objects with large arrays, for other processes: the arrays are files, which a process that opens the object maps.

What a scratch file or a memory-mapped file holds is too much to be sent to each worker with its task.
"""

from __future__ import annotations

import itertools
import pickle
import uuid
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.scratch import watched

LARGE = 2**20
"""Bytes from which an array is a file."""

Array = npt.NDArray[Any]


class Shipment:
    """A folder of objects, and of the files of their arrays; each array is written once, whatever objects have it."""

    def __init__(self, folder: Path) -> None:
        """Ship by a folder that all workers see."""
        self._folder = folder
        self._files: dict[int, tuple[Array, Path]] = {}
        self._names = map("{}.npy".format, itertools.count())

    def send(self, what: Any) -> Path:
        """Write an object, which must not change any more; `opened` opens its file."""
        path, packed = self._folder / f"{uuid.uuid4().hex}.pickle", BytesIO()
        _Pickler(packed, self._file).dump(what)
        path.write_bytes(packed.getbuffer())
        return path

    def _file(self, array: Array) -> Path:
        """The array's file; the array is kept, so that no other one has its address."""
        if id(array) not in self._files:
            path = self._folder / next(self._names)
            np.save(path, array)
            self._files[id(array)] = array, path
        return self._files[id(array)][1]


@lru_cache(maxsize=1)
def opened(path: Path) -> Any:
    """What was sent; its large arrays are memory-mapped and cannot be written. A process opens the last one once."""
    with path.open("rb") as file:
        return pickle.load(file)


def _mapped(path: Path) -> Array:
    return watched(np.load(path, mmap_mode="r"))


class _Pickler(pickle.Pickler):
    def __init__(self, file: BytesIO, kept: Callable[[Array], Path]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._kept = kept

    def reducer_override(self, what: Any) -> Any:
        """See `pickle.Pickler.reducer_override`."""
        if not isinstance(what, np.ndarray) or what.nbytes < LARGE or what.dtype.hasobject:
            return NotImplemented
        if 0 in what.strides:  # a few values, seen as many
            few = what[tuple(slice(1) if step == 0 else slice(None) for step in what.strides)]
            return np.broadcast_to, (np.array(few), what.shape)
        if isinstance(what, np.memmap) and what.filename is not None and _is_whole_file(what):
            return _mapped, (Path(what.filename),)
        return _mapped, (self._kept(what),)


def _is_whole_file(array: np.memmap[Any, Any]) -> bool:
    """Whether it is what `numpy.load` maps of its file, and no part of that."""
    path = Path(str(array.filename))
    if path.suffix != ".npy" or not path.is_file():
        return False
    whole = np.load(path, mmap_mode="r")
    same = whole.shape, whole.dtype, whole.strides, whole.offset
    return bool(same == (array.shape, array.dtype, array.strides, array.offset) and whole.size == array.size)
