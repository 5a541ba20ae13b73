"""The order in which patches are drawn: shuffled anew each epoch, the same on every process, and shared among them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.distributed
from torch.utils.data import Sampler


class PatchSampler(Sampler[int]):
    """Positions of patches, a share for each process, none twice.

    In training every process gets the same number, as gradients are averaged step by step: at most one patch less than
    there are processes is left out, another one each epoch. In evaluation every patch is seen once.
    """

    def __init__(self, count: int, *, shuffle: bool, seed: int) -> None:
        """Draw from `count` patches; `shuffle` for training.

        Args:
            count: Number of patches.
            shuffle: Whether they are shuffled, and shared evenly.
            seed: The same on all processes.
        """
        self.count, self.shuffle, self.seed, self.epoch = count, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch begins."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """The positions of this process."""
        rank, processes = _place()
        if not self.shuffle:
            return iter(range(rank, self.count, processes))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.count, generator=generator).tolist()
        return iter(order[rank : self.count - self.count % processes : processes])

    def __len__(self) -> int:
        """How many positions this process gets."""
        rank, processes = _place()
        return self.count // processes if self.shuffle else len(range(rank, self.count, processes))


def _place() -> tuple[int, int]:
    """Rank of this process and number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
