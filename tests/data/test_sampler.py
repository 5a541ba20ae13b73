import numpy as np
import pytest
from torch.utils.data import DataLoader

from mlssm.data import sampler
from mlssm.data.plan import Drawing
from mlssm.data.sampler import PatchSampler


@pytest.fixture
def on_rank(monkeypatch):
    """Positions that each of some processes gets."""

    def draw(
        count: int, processes: int, *, shuffle: bool, seed: int = 0, epoch: int = 0, drawing: Drawing | None = None
    ) -> list[list[int]]:
        found = []
        for rank in range(processes):
            monkeypatch.setattr(sampler, "_place", lambda rank=rank: (rank, processes))
            one = PatchSampler(count, shuffle=shuffle, seed=seed, drawing=drawing)
            one.set_epoch(epoch)
            positions = list(one)
            assert len(one) == len(positions)
            found.append(positions)
        return found

    return draw


def test_every_patch_once_an_epoch() -> None:
    one = PatchSampler(37, shuffle=True, seed=0)
    positions = list(one)
    assert sorted(positions) == list(range(37))
    assert positions != list(range(37))
    assert list(PatchSampler(37, shuffle=False, seed=0)) == list(range(37))


def test_seed_and_epoch_decide_the_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        one = PatchSampler(50, shuffle=True, seed=seed)
        one.set_epoch(epoch)
        return list(one)

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("processes", [2, 3])
def test_training_shares_are_even_and_disjoint(on_rank, processes: int) -> None:
    """As gradients are averaged step by step; what is left over is another patch each epoch."""
    left_out = set()
    for epoch in range(20):
        shares = on_rank(20, processes, shuffle=True, epoch=epoch)
        everything = [position for share in shares for position in share]
        assert len({len(share) for share in shares}) == 1
        assert len(set(everything)) == len(everything) == 20 - 20 % processes
        left_out |= set(range(20)) - set(everything)
    assert len(left_out) > 5 or 20 % processes == 0


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_what_one_would_draw(on_rank, processes: int) -> None:
    """Also where the drawing repeats patches: none is drawn oftener for being shared."""
    drawing = Drawing(np.array([2.5, 0.5, 1, 0.25, 0.75, 3]), np.zeros(6, int), 8)
    for epoch in range(10):
        ((alone,), shares) = (on_rank(6, n, shuffle=True, epoch=epoch, drawing=drawing) for n in (1, processes))
        together = [position for step in zip(*shares, strict=True) for position in step]
        assert alone == drawing.positions(0, epoch)
        assert together == alone[: 8 - 8 % processes]
    assert sorted(on_rank(6, 1, shuffle=False, drawing=drawing)[0]) == list(range(6))


@pytest.mark.parametrize("processes", [2, 3])
def test_evaluation_shares_are_disjoint_and_complete(on_rank, processes: int) -> None:
    shares = on_rank(20, processes, shuffle=False)
    assert sorted(position for share in shares for position in share) == list(range(20))


@pytest.mark.parametrize("shuffle", [True, False])
def test_positions_are_left_out_once(shuffle: bool) -> None:
    one = PatchSampler(20, shuffle=shuffle, seed=0)
    whole = list(one)
    one.skip(7)
    assert len(one) == 20
    assert list(one) == whole[7:]
    assert list(one) == whole


def test_a_loader_takes_it() -> None:
    loader = DataLoader(list(range(7)), batch_size=3, sampler=PatchSampler(7, shuffle=True, seed=0))
    assert sorted(int(value) for batch in loader for value in batch) == list(range(7))
