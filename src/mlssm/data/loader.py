"""The loader of patches, which can go on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mlssm.data.batch import Batch
from mlssm.data.sampler import PatchSampler
from mlssm.errors import RunError


class PatchLoader(DataLoader[Batch]):
    """Patches in batches; its state is how many batches of an epoch it has given (Lightning's protocol for loaders).

    Seeds for its workers come from a generator of its own: making an iterator leaves the global random numbers alone.
    """

    def __init__(self, dataset: Dataset[Batch], batch_size: int, sampler: PatchSampler, workers: int) -> None:
        """Read a dataset.

        Args:
            dataset: The patches.
            batch_size: Patches in a batch.
            sampler: Their order.
            workers: Processes that read patches; they live on from epoch to epoch.
        """
        super().__init__(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),
        )
        self._order = sampler
        self._given = self._skipped = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """The epoch's batches, or those that are left of it; the first is read when it is asked for."""
        self._given, self._skipped = self._skipped, 0
        self._order.skip(self._given * int(self.batch_size or 1))
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """How many batches were given, and of which epochs: of how many batches, in which order."""
        return {"given": self._given, **self._epochs()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Leave out the batches that were given already.

        Raises:
            RunError: The epochs are of other batches or in another order, so that there is no such place in them.
        """
        for name, now in self._epochs().items():
            if state_dict[name] != now:
                raise RunError(
                    f"the checkpoint was written within an epoch with {name} {state_dict[name]}, now it is {now}; "
                    "set it as it was, or go on from a checkpoint between epochs"
                )
        self._skipped = int(state_dict["given"])

    def _epochs(self) -> dict[str, int]:
        return {"batch_size": int(self.batch_size or 1), "batches": len(self), "seed": self._order.seed}
