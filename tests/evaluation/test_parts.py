"""However many workers look at patches, and wherever they are, what is found is the same to the last bit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mlssm.config import DaskConfig, TrainConfig
from mlssm.crew import open_crew
from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.errors import DataError
from mlssm.evaluation.baselines import fit_baselines
from mlssm.evaluation.evaluate import (
    Settings,
    SplitEvaluation,
    evaluate_split,
    regular_grid,
    response_rows,
    split_settings,
)
from mlssm.evaluation.parts import Patches, look_at
from mlssm.evaluation.stream import Network


@pytest.fixture(scope="module")
def models(experiment: Experiment, network: nn.Module, config: TrainConfig) -> list[Any]:
    """The network, a control, and all baselines with the truth."""
    spec, train = experiment.spec, regular_grid(experiment.datasets["train"])
    baselines = fit_baselines(experiment, train, config.seed, None, config.datamodule.root)
    assert [each.name for each in baselines][-1] == "truth"
    networks = Network("net", network, spec), Network("shuffled", network, spec, "shuffle_space")
    return [*networks, *response_rows(experiment, config), *baselines]


@pytest.fixture(scope="module")
def settings(experiment: Experiment, config: TrainConfig) -> Settings:
    return replace(split_settings(experiment, config), poolable=True)


@pytest.fixture
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlssm.evaluation.parts.PIXELS", 1)


@pytest.fixture(scope="module")
def serial(experiment: Experiment, models: list[Any], settings: Settings) -> SplitEvaluation:
    return evaluate_split(models, regular_grid(experiment.datasets["test"]), settings)


def assert_same(found: SplitEvaluation, expected: SplitEvaluation) -> None:
    assert found.digest == expected.digest
    assert found.times == expected.times
    for name, sums in expected.sums.items():
        assert torch.equal(found.sums[name], sums), name
        assert torch.equal(found.wet[name], expected.wet[name]), name
    np.testing.assert_equal(dict(found.temporal), dict(expected.temporal))
    assert found.between_pixels == expected.between_pixels
    np.testing.assert_array_equal(found.histogram.counts, expected.histogram.counts)
    for one, other in zip(found.temporal_maps, expected.temporal_maps, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_score_as_one_does(
    workers: int,
    experiment: Experiment,
    models: list[Any],
    settings: Settings,
    serial: SplitEvaluation,
    small_tasks: None,
) -> None:
    test = regular_grid(experiment.datasets["test"])
    assert len(Patches(test, settings.batch_size).parts) > 5
    with open_crew(DaskConfig(workers=workers), experiment.cube.path) as crew:
        assert_same(evaluate_split(models, test, settings, crew), serial)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_processes_score_as_one_does(
    experiment: Experiment,
    models: list[Any],
    settings: Settings,
    serial: SplitEvaluation,
    small_tasks: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told by files: of the arrays each is one, and none is left behind."""
    monkeypatch.setattr("mlssm.shipping.LARGE", 500)
    test, folder = regular_grid(experiment.datasets["test"]), experiment.cube.path.parent
    before = {*folder.iterdir()}
    with open_crew(DaskConfig(name="processes", workers=2), experiment.cube.path) as crew:
        assert_same(evaluate_split(models, test, settings, crew), serial)
        (sent,) = {*folder.iterdir()} - before
        assert len([*sent.glob("*.npy")]) > 10
    assert {*folder.iterdir()} == before


def test_parts_are_whole_batches_in_order(experiment: Experiment) -> None:
    test = regular_grid(experiment.datasets["test"])
    patches = Patches(test, 4)
    assert [position for part in patches.parts for position in part] == [*range(len(test))]
    assert all(len(part) % 4 == 0 for part in patches.parts[:-1])
    (batch, places), *_ = patches.batches(range(4, 8))
    assert [batch.date[0].item(), places[0]] == [test[4].date.item(), test.place(4)]
    torch.testing.assert_close(batch.target[3], test[7].target, equal_nan=True)


@dataclass(frozen=True)
class Bad:
    """Fails at a patch."""

    def __call__(self, batch: Batch, places: Sequence[PatchPlace]) -> Tensor:
        if any(place.rows.start > 0 for place in places):
            raise DataError(f"{places[0]} is bad")
        return batch.target


@pytest.fixture
def two_threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_an_error_is_the_callers_and_torch_has_its_threads_again(
    experiment: Experiment, two_threads: int, small_tasks: None
) -> None:
    patches, seen = Patches(regular_grid(experiment.datasets["test"]), 2), list[int]()

    def look(batch: Batch, places: Sequence[PatchPlace]) -> int:
        return torch.get_num_threads()

    with open_crew(DaskConfig(workers=2), experiment.cube.path) as crew:
        look_at(patches, look, seen.append, crew, "threads")
        assert set(seen) == {1}, "two workers share two threads"
        assert torch.get_num_threads() == two_threads
        with pytest.raises(DataError, match="is bad"):
            look_at(patches, Bad(), _nothing, crew, "bad")
        assert torch.get_num_threads() == two_threads


def _nothing(_: Any) -> None:
    pass
