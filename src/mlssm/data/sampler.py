"""The order in which patches are read: in training as drawn, the same on every process, and shared among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch.distributed
from torch.utils.data import Sampler

from mlssm.data.plan import Drawing


class PatchSampler(Sampler[int]):
    """Positions of patches, a share for each process, none oftener than the drawing says.

    In training every process gets the same number, as gradients are averaged step by step: at most one draw less than
    there are processes is left out, another one each epoch. In evaluation every patch is seen once.
    """

    def __init__(self, count: int, *, shuffle: bool, seed: int, drawing: Drawing | None = None) -> None:
        """Draw from `count` patches; `shuffle` for training.

        Args:
            count: Number of patches.
            shuffle: Whether they are drawn and shuffled anew each epoch, and shared evenly.
            seed: The same on all processes.
            drawing: How an epoch of training is drawn; every patch once by default.
        """
        self.count, self.shuffle, self.seed, self.epoch = count, shuffle, seed, 0
        self._skipped = 0
        self.drawing = Drawing.once(count) if drawing is None else drawing

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch begins."""
        self.epoch = epoch

    def skip(self, count: int) -> None:
        """Leave out the first positions of this process, once: in the next iteration."""
        self._skipped = count

    def __iter__(self) -> Iterator[int]:
        """The positions of this process."""
        skipped, self._skipped = self._skipped, 0
        return iter(self._positions()[skipped:])

    def __len__(self) -> int:
        """How many positions this process gets in a whole epoch."""
        rank, processes = _place()
        return self.drawing.draws // processes if self.shuffle else len(range(rank, self.count, processes))

    def _positions(self) -> Sequence[int]:
        rank, processes = _place()
        if not self.shuffle:
            return range(rank, self.count, processes)
        drawn = self.drawing.positions(self.seed, self.epoch)
        return drawn[rank : len(drawn) - len(drawn) % processes : processes]


def _place() -> tuple[int, int]:
    """Rank of this process and number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
