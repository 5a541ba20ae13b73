"""An extent in bands of rows, few enough that what is worked on at once is small whatever its width and dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mlssm.retrieval.stack import ExtentStack
from mlssm.scratch import Trimmed, trimming, watched
from mlssm.workers import Workers

VALUES = 4_000_000  # pixels x dates at once
ROWS = 256

Item = TypeVar("Item")
Result = TypeVar("Result")


class Bands(list[slice]):
    """Bands of rows; while they are gone through, pages of mapped files are let go once they are many."""

    def __iter__(self) -> Iterator[slice]:
        """One after the other."""
        return trimming(super().__iter__())


def bands(shape: tuple[int, int], dates: int = 1) -> Bands:
    """Rows in bands of at most `ROWS`, and of at most `VALUES` values.

    Args:
        shape: Rows and columns.
        dates: Values of each pixel.
    """
    height, width = shape
    rows = min(max(VALUES // max(width * dates, 1), 1), ROWS)
    return Bands(slice(start, min(start + rows, height)) for start in range(0, height, rows))


def over(
    workers: Workers | None, task: Callable[[Item], Result], items: Sequence[Item], description: str
) -> Iterator[Result]:
    """The results of a task, in the order of the items; without workers, or of one item, one after the other."""
    trimmed = Trimmed(task)
    if workers is None or len(items) < 2:
        return map(trimmed, items)
    return iter(workers.run(trimmed, items, description))


@dataclass(frozen=True)
class StackFiles:
    """Where the arrays of an extent's backscatter lie, by which another process opens them.

    Attributes:
        packed: File of the polarisation that weighs most.
        count: File of how many pixels each value averages.
        weight: See `ExtentStack`.
        others: Weight and file of the other polarisations.
        offset: See `ExtentStack`.
    """

    packed: Path
    count: Path
    weight: float
    others: tuple[tuple[float, Path], ...]
    offset: tuple[float, ...] | None

    @classmethod
    def of(cls, extent: ExtentStack) -> StackFiles:
        """Those of an extent whose arrays are memory-mapped."""
        others = tuple((weight, _file(packed)) for weight, packed in extent.others)
        offset = None if extent.offset is None else tuple(extent.offset.tolist())
        return cls(_file(extent.packed), _file(extent.count), extent.weight, others, offset)

    @cache  # noqa: B019 - a worker process opens the few that it is given once
    def opened(self) -> ExtentStack:
        """The extent."""
        others = tuple((weight, watched(np.load(packed, mmap_mode="r"))) for weight, packed in self.others)
        offset = None if self.offset is None else np.array(self.offset, np.float32)
        packed, count = (watched(np.load(path, mmap_mode="r")) for path in (self.packed, self.count))
        return ExtentStack(packed, count, self.weight, others, offset)


def _file(array: npt.NDArray[np.generic]) -> Path:
    if not isinstance(array, np.memmap) or array.filename is None:
        raise ValueError("only memory-mapped arrays can be worked on by other processes")
    return Path(array.filename)
