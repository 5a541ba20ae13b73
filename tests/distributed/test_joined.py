"""Several processes against one on the joined batch, by gloo on this machine."""

from __future__ import annotations

import importlib.util
import multiprocessing
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("joined.py")
spec = importlib.util.spec_from_file_location("joined", SCRIPT)
assert spec is not None
assert spec.loader is not None
joined = importlib.util.module_from_spec(spec)
spec.loader.exec_module(joined)


@pytest.fixture(scope="module", params=[2, 3])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each of 2 or 3 processes came to."""
    folder, world = tmp_path_factory.mktemp("ranks"), request.param
    context = multiprocessing.get_context("forkserver")  # imports once for all
    context.set_forkserver_preload(["mlssm.training.losses", "mlssm.scores.sums", "mlssm.data.sampler"])
    places = [{"init_globals": {"PLACE": (folder, rank, world)}, "run_name": "__main__"} for rank in range(world)]
    processes = [context.Process(target=runpy.run_path, args=(str(SCRIPT),), kwargs=place) for place in places]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * world
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(world)]


@pytest.mark.parametrize("case", joined.CASES, ids=lambda case: " ".join(map(str, case)))
def test_gradients_and_weights_are_those_of_the_joined_batch(found: list[Any], case: tuple[str, bool, str]) -> None:
    expected = joined.learn(*case)
    for process in found:
        for kind in ("gradients", "weights"):
            torch.testing.assert_close(process["learnt"][case][kind], expected[kind], rtol=1e-6, atol=1e-11)
    moved = any(gradient.abs().max() > 1e-4 for gradient in expected["gradients"])
    assert moved == (case[2] != "none")


def test_scores_are_those_of_one_process(found: list[Any]) -> None:
    expected = joined.score()
    for process in found:
        torch.testing.assert_close(process["score"]["sums"], expected["sums"], rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(process["score"]["mean"], expected["mean"], rtol=1e-13, atol=0)
    shares = {process["score"]["own"]["count"].item() for process in found}
    assert len(shares) == len(found)  # else a mean of means would do


def test_a_checkpoint_keeps_the_loss_of_all_processes_and_gives_it_to_one(found: list[Any]) -> None:
    expected = joined.score()
    for process in found:
        torch.testing.assert_close(process["score"]["joined"], expected["joined"], rtol=1e-13, atol=0)
        torch.testing.assert_close(process["score"]["resumed"], expected["mean"], rtol=1e-13, atol=0)
    own = [process["score"]["own"]["count"] for process in found]  # joining leaves each its own
    assert sum(own) == expected["joined"]["mean_loss.count"]


def test_each_position_is_read_by_one_process(found: list[Any]) -> None:
    world = len(found)
    for index, shares in enumerate(zip(*(process["positions"] for process in found), strict=True)):
        count, training = joined.COUNTS[index // 3], index % 3 > 0
        read = Counter(position for share in shares for position in share)
        assert set(read.values()) <= {1}
        assert read.total() == (count - count % world if training else count)
        if training:  # steps are taken together
            assert len({len(share) for share in shares}) == 1
