"""A training whose epochs were chosen before: so many, no validation, and the last one is kept."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from mlssm.checkpoint import read_checkpoint
from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.training.start import Start, goes_on_to
from mlssm.training.train_network import train_network

SMALL = ("patches.size=20", "retrieval.multilook_m=90", "model.hidden=[2]", "model.lag=1", "trainer=cpu")
SMALL += ("model.dropout=0.3", "optimiser.batch_size=8", "trainer.max_epochs=9", "optimiser.patience=1")
INNER = (*SMALL, "split.inner=seasons")


@pytest.fixture(scope="module")
def config(watershed: Any) -> TrainConfig:
    found: TrainConfig = watershed.config(*INNER)
    return found


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    """All seasons but the test season, none for validation."""
    found: Experiment = watershed.experiment(*INNER)
    return found


def weights(path: Path) -> dict[str, torch.Tensor]:
    found = read_checkpoint(path)["state_dict"]
    return {name: value for name, value in found.items() if name.startswith("network.")}


def test_all_seasons_but_the_test_season_are_trained_on(experiment: Experiment, watershed: Any) -> None:
    by_season = watershed.experiment(*SMALL)
    wanted = {*by_season.datasets["train"].times, *by_season.datasets["val"].times}
    assert set(experiment.datasets["train"].times) == wanted
    assert len(experiment.datasets["val"]) == 0
    assert set(experiment.datasets["test"].times) == set(by_season.datasets["test"].times)


def test_it_trains_exactly_so_many_epochs_and_keeps_the_last(
    experiment: Experiment, config: TrainConfig, tmp_path: Path
) -> None:
    trained = train_network(experiment, config, tmp_path, None, epochs=3)
    assert [point.epoch for point in trained.history.points] == [1, 2, 3]
    assert all(math.isnan(point.val_rmse) for point in trained.history.points)
    assert math.isnan(trained.history.best)
    best, last = weights(tmp_path / "best.ckpt"), weights(tmp_path / "last.ckpt")
    for name, value in trained.network.state_dict().items():
        assert torch.equal(best[f"network.{name}"], value)
        assert torch.equal(last[f"network.{name}"], value)


def test_one_that_goes_on_comes_to_the_same_bits(experiment: Experiment, config: TrainConfig, tmp_path: Path) -> None:
    whole = train_network(experiment, config, tmp_path / "whole", None, epochs=3)
    part = tmp_path / "part"
    train_network(experiment, config, part, None, epochs=1)
    assert [goes_on_to(part / "last.ckpt", epochs) for epochs in (0, 1, 2)] == [False, True, True]
    again = train_network(experiment, config, part, None, Start(part / "last.ckpt"), epochs=3)
    assert [point.train_loss for point in again.history.points] == [point.train_loss for point in whole.history.points]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)
    done = train_network(experiment, config, part, None, Start(part / "last.ckpt"), epochs=3)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(done.network.state_dict()[name], value)


def test_none_at_all_keeps_the_network_as_it_begins(
    experiment: Experiment, config: TrainConfig, tmp_path: Path
) -> None:
    first = train_network(experiment, config, tmp_path / "one", None, epochs=0)
    again = train_network(experiment, config, tmp_path / "two", None, epochs=0)
    assert first.history.points == []
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])
        assert torch.equal(value, weights(tmp_path / "one" / "best.ckpt")[f"network.{name}"])
    assert not goes_on_to(tmp_path / "one" / "last.ckpt", 5)


def test_limits_of_the_trainer_do_not_cut_it_short(experiment: Experiment, watershed: Any, tmp_path: Path) -> None:
    limited = watershed.config(*INNER, "+trainer.max_steps=2", "+trainer.max_time=00:00:00:01")
    trained = train_network(experiment, limited, tmp_path, None, epochs=2)
    assert len(trained.history.points) == 2
