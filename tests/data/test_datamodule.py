import pytest
import torch

from mlssm.data.assemble import Experiment
from mlssm.data.datamodule import PatchDataModule


@pytest.fixture(scope="module")
def experiment(watershed) -> Experiment:
    return watershed.experiment("patches.size=7", "retrieval.multilook_m=90")


def test_loaders_give_every_patch_in_batches(experiment: Experiment) -> None:
    data = PatchDataModule(dict(experiment.datasets), batch_size=16, workers=0, seed=0)
    for name, loader in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
        batches = list(loader)
        assert sum(len(batch.date) for batch in batches) == len(experiment.datasets[name])
        assert batches[0].target.shape == (16, 1, 7, 7)
        assert batches[0].valid.dtype == torch.bool
    first = next(iter(data.val_dataloader()))
    torch.testing.assert_close(first.dynamic[3], experiment.datasets["val"][3].dynamic)
    torch.testing.assert_close(first.date[3], experiment.datasets["val"][3].date)


def test_workers_give_the_same_patches(experiment: Experiment) -> None:
    here, there = (
        PatchDataModule(dict(experiment.datasets), 16, workers, seed=0).val_dataloader() for workers in (0, 1)
    )
    for mine, theirs in zip(here, there, strict=True):
        for left, right in zip(mine, theirs, strict=True):
            assert torch.equal(torch.nan_to_num(left.float()), torch.nan_to_num(right.float()))
