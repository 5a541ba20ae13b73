"""The loaders that a training reads; evaluation reads the datasets by itself."""

from __future__ import annotations

import pytorch_lightning as pl

from mlssm.data.dataset import PatchDataset
from mlssm.data.loader import PatchLoader
from mlssm.data.sampler import PatchSampler


class PatchDataModule(pl.LightningDataModule):
    """Loaders of patches; training is drawn as its dataset's plan says, validation and test are read in order."""

    def __init__(self, datasets: dict[str, PatchDataset], batch_size: int, workers: int, seed: int) -> None:
        """Keep what the loaders are made from.

        Args:
            datasets: By "train", "val" and "test".
            batch_size: Patches in a batch.
            workers: Processes that read patches.
            seed: Of the order in training.
        """
        super().__init__()
        self.datasets, self.batch_size, self.workers, self.seed = datasets, batch_size, workers, seed

    def loader(self, split: str, *, shuffle: bool = False) -> PatchLoader:
        """The patches of a split in batches; under `shuffle` as its plan draws them, else each once in order."""
        dataset = self.datasets[split]
        drawing = dataset.plan.drawing if dataset.plan is not None else None
        sampler = PatchSampler(len(dataset), shuffle=shuffle, seed=self.seed, drawing=drawing)
        return PatchLoader(dataset, self.batch_size, sampler, self.workers)

    def train_dataloader(self) -> PatchLoader:
        """Drawn and shuffled anew each epoch."""
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> PatchLoader:
        """In the order of the index."""
        return self.loader("val")
