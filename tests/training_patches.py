"""The training patches of baselines, read as when they are fitted."""

from collections.abc import Iterator

from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.baselines.training import TrainingPatch, patches_of, regular_positions
from mlssm.evaluation.parts import Patches


def training_patches(train: PatchDataset) -> Iterator[TrainingPatch]:
    positions = regular_positions(train)
    for batch, places in Patches(train, 4, positions).batches(range(len(positions))):
        yield from patches_of(batch, places)
