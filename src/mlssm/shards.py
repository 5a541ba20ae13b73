"""Writes the files of a cube's arrays, a shard each, in the thread that asks, and knows their checksums."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy.typing as npt
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from mlssm.checksums import content_checksum
from mlssm.cube_writer import CHUNK, SHARD
from mlssm.files import flush

Result = TypeVar("Result")


def in_batches() -> AbstractContextManager[Any]:
    """Encode all chunks of a shard at once: zarr's default, one by one, waits more than it works. Same bytes."""
    batch: AbstractContextManager[Any] = zarr.config.set({"codec_pipeline.batch_size": (SHARD // CHUNK) ** 2})
    return batch


class ShardWriter:
    """Writes shards of an array.

    zarr's own threads wait for one another more than they work on chunks of this size; here, none but the calling
    thread works, in which no event loop may run. The bytes are the same.
    """

    def __init__(self, path: Path) -> None:
        """Open an array that is there.

        Args:
            path: Its folder.
        """
        self._store = CheckedStore(path)
        self._loop = _Here()
        try:
            self._array: Any = self._run(zarr.api.asynchronous.open_array(store=self._store, mode="r+", zarr_format=3))
        except BaseException:  # nobody could close it any more
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        """It is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the loop."""
        self._loop.close()

    def remove(self, *place: int) -> None:
        """Remove the files of a place in the leading dimensions, of a writer that was killed."""
        shutil.rmtree(self._store.root / "c" / "/".join(map(str, place)), ignore_errors=True)

    def write(self, place: tuple[int | slice, ...], values: npt.NDArray[Any]) -> None:
        """Write values at a place, which no one else writes to.

        Raises:
            OSError: The disk is full, or broken.
        """
        self._run(self._array.setitem(place, values))

    def close(self) -> dict[str, tuple[int, str]]:
        """Force what was written to the disk; size and checksum of each file, by its path below the array's folder.

        Raises:
            OSError: The disk is full, or broken.
        """
        self._store.flush()
        return self._store.written

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)


class _Here(asyncio.SelectorEventLoop):
    """Does at once, in the calling thread, what it is given to do in others."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Do it; see `asyncio.loop.run_in_executor`."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # as of a thread: who waits for it gets it
            done.set_exception(error)
        return done


class CheckedStore(LocalStore):
    """A zarr store that notes what it writes, so that files need not be read again for their checksums.

    Attributes:
        written: Size and checksum of each file that was written, by its path below the store.
    """

    def __init__(self, root: Path) -> None:
        """Open a folder."""
        super().__init__(root)
        self.written: dict[str, tuple[int, str]] = {}

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file."""
        await super().set(key, value)
        content = value.as_numpy_array()
        self.written[key] = content.nbytes, content_checksum(content.data)

    def flush(self) -> None:
        """Force what was written to the disk.

        Raises:
            OSError: The disk is full, or broken.
        """
        names = [key.split("/") for key in self.written]
        folders = {"/".join(parts[:depth]) for parts in names for depth in range(len(parts))}
        flush(*(self.root / name for name in (*self.written, *sorted(folders))))
