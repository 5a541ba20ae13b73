import pytest
import torch

from mlssm.data.assemble import Experiment
from mlssm.data.datamodule import PatchDataModule
from mlssm.data.loader import PatchLoader
from mlssm.errors import RunError


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


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_goes_on_within_an_epoch(experiment: Experiment, workers: int) -> None:
    def make() -> PatchLoader:
        found = PatchDataModule(dict(experiment.datasets), 16, workers, seed=0).train_dataloader()
        found.sampler.set_epoch(3)
        return found

    whole, first, second = make(), make(), make()
    wanted = [batch.target for batch in whole]
    begun = iter(first)
    taken = [next(begun).target for _ in range(2)]
    second.load_state_dict(first.state_dict())
    assert len(second) == len(whole) == len(wanted)
    left = [batch.target for batch in second]
    assert len(taken + left) == len(wanted)
    assert all(map(same, taken + left, wanted))
    assert second.state_dict()["given"] == len(wanted)
    assert all(map(same, (batch.target for batch in second), wanted)), "only one epoch is cut short"


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return torch.equal(torch.nan_to_num(left), torch.nan_to_num(right))


def test_a_loader_leaves_the_global_random_numbers_alone(experiment: Experiment) -> None:
    before = torch.get_rng_state()
    next(iter(PatchDataModule(dict(experiment.datasets), 16, 0, seed=0).train_dataloader()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "batch_size", "seed"), [("batch_size", 8, 0), ("seed", 16, 1)])
def test_a_loader_of_other_epochs_refuses(experiment: Experiment, name: str, batch_size: int, seed: int) -> None:
    data = dict(experiment.datasets)
    state = PatchDataModule(data, 16, 0, seed=0).train_dataloader().state_dict()
    with pytest.raises(RunError, match=f"written within an epoch with {name} "):
        PatchDataModule(data, batch_size, 0, seed).train_dataloader().load_state_dict(state)
