"""A split's patches looked at in parts, on workers; what is found in them is put together in the patches' order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import default_collate

from mlssm.crew import Crew, fold
from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.scratch import trimming
from mlssm.workers import Workers

PIXELS = 2**16  # of patches that are one task's: few enough that what waits to be put together is small
Found = TypeVar("Found")
Result = TypeVar("Result", covariant=True)


class Look(Protocol[Result]):
    """What is asked of a batch of patches."""

    def __call__(self, batch: Batch, places: Sequence[PatchPlace]) -> Result:
        """The answer, which holds no more than it needs."""


@dataclass(frozen=True)
class Patches:
    """Patches in batches.

    Attributes:
        dataset: They, in their order.
        batch_size: How many are looked at at once.
        positions: Which of the dataset's; None: all.
    """

    dataset: PatchDataset
    batch_size: int
    positions: npt.NDArray[np.int64] | None = None

    @property
    def parts(self) -> list[range]:
        """Numbers of the patches of each task: some whole batches, so that batches do not depend on tasks."""
        count = len(self.dataset) if self.positions is None else len(self.positions)
        step = self.batch_size * max(1, PIXELS // (self.batch_size * self.dataset.size**2))
        return [range(start, min(start + step, count)) for start in range(0, count, step)]

    def batches(self, part: range) -> Iterator[tuple[Batch, list[PatchPlace]]]:
        """The batches of a part, on the CPU, each patch with its place."""
        for start in range(part.start, part.stop, self.batch_size):
            some: list[int] = [*range(start, min(start + self.batch_size, part.stop))]
            if self.positions is not None:
                some = self.positions[some].tolist()
            batch: Batch = default_collate([self.dataset[position] for position in some])
            yield batch, [self.dataset.place(position) for position in some]


def look_at(
    patches: Patches,
    look: Look[Found],
    take: Callable[[Found], None],
    crew: Crew | None,
    description: str,
) -> None:
    """Look at all patches, batch by batch, and take what is found in their order, whoever found it.

    Args:
        patches: They.
        look: Is asked of each batch, of several at once.
        take: Is given the answers, one at a time.
        crew: Who looks; None: here, one batch after the other.
        description: Of what is done, for the progress bar.
    """
    if crew is None:
        for part in patches.parts:
            _take_all(take, _looked(patches, look, part))
        return
    with _threads_shared(crew.workers) as threads:
        task = partial(_looked_on_threads, patches, look, threads)
        fold(crew, task, patches.parts, partial(_take_all, take), description)


def _take_all(take: Callable[[Found], None], found: Iterator[Found] | list[Found]) -> None:
    for each in found:
        take(each)


def _looked(patches: Patches, look: Look[Found], part: range) -> Iterator[Found]:
    for batch, places in trimming(patches.batches(part)):
        yield look(batch, places)


def _looked_on_threads(patches: Patches, look: Look[Found], threads: int, part: range) -> list[Found]:
    torch.set_num_threads(threads)  # torch counts those of each thread
    return list(_looked(patches, look, part))


@contextmanager
def _threads_shared(workers: Workers) -> Iterator[int]:
    """How many threads torch and BLAS have in each of the workers' own; on other processes one."""
    if not workers.here:
        yield 1
        return
    pools: Any = _thread_pools()
    before = torch.get_num_threads()
    threads = max(1, before // workers.at_once)
    try:
        with pools.limit(limits=threads, user_api="blas"):
            yield threads
    finally:
        torch.set_num_threads(before)


def _thread_pools() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()
