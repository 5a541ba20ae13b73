"""The untrained network as a candidate."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mlssm.checkpoint import BEST, LAST, read_checkpoint
from mlssm.data.assemble import Experiment
from mlssm.training.start import Start
from mlssm.training.train_network import train_network
from mlssm.training.untrained import val_rmse

OVERRIDES = (
    *("model=response", "model.lag=2", "model.hidden=[4]", "split.test=[2023]", "split.val=[2022]"),
    *(
        "trainer.accelerator=cpu",
        "trainer.max_epochs=2",
        "+trainer.enable_progress_bar=false",
        "optimiser.batch_size=32",
    ),
)


@pytest.fixture(scope="module")
def watershed(watersheds: Callable[..., Any]) -> Any:
    return watersheds("datamodule.simulation.seasons=4")


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*OVERRIDES)
    return found


def base_rmse(experiment: Experiment) -> float:
    """Of the closed form on validation, computed from its maps."""
    data, total, count = experiment.datasets["val"], 0.0, 0
    for number in range(len(data)):
        place, batch = data.place(number), data[number]
        base = experiment.prefit.maps[place.time][place.extent]["base"][place.rows, place.cols]
        inside = slice(0, base.shape[0]), slice(0, base.shape[1])
        valid, target = batch.valid[0].numpy()[inside], batch.target[0].numpy()[inside]
        total += float(((base - target)[valid].astype(float) ** 2).sum())
        count += int(valid.sum())
    return math.sqrt(total / count)


def test_a_training_that_only_harms_keeps_the_base(watershed: Any, experiment: Experiment, tmp_path: Path) -> None:
    config = watershed.config(*OVERRIDES, "optimiser.learning_rate=0.3")
    trained = train_network(experiment, config, tmp_path, None)
    assert [point.epoch for point in trained.history.points] == [0, 1, 2]
    assert min(point.val_rmse for point in trained.history.points[1:]) > trained.history.best
    assert trained.history.best_epoch == 0
    assert trained.history.best == pytest.approx(base_rmse(experiment), abs=1e-6)
    again = val_rmse(trained.network, experiment.datasets["val"], 16)
    assert again == pytest.approx(trained.history.best, abs=1e-6)
    assert float(trained.network.state_dict()["residual.head.weight"].abs().max()) == 0


def test_an_epoch_that_helps_is_kept_and_going_on_scores_nothing_again(
    watershed: Any, experiment: Experiment, tmp_path: Path
) -> None:
    config = watershed.config(*OVERRIDES)
    whole = train_network(experiment, config, tmp_path / "whole", None)
    assert whole.history.best_epoch > 0
    assert whole.history.best < base_rmse(experiment)
    part = tmp_path / "part"
    train_network(experiment, watershed.config(*OVERRIDES, "trainer.max_epochs=1"), part, None)
    went_on = train_network(experiment, config, part, None, Start(part / LAST))
    assert went_on.history.points[1:] == whole.history.points[1:]
    assert [point.epoch for point in went_on.history.points] == [0, 1, 2]
    left, right = (read_checkpoint(folder / BEST)["state_dict"] for folder in (tmp_path / "whole", part))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_what_has_no_weights_is_scored_and_kept(watershed: Any, experiment: Experiment, tmp_path: Path) -> None:
    config = watershed.config(*OVERRIDES, "model.residual=none")
    trained = train_network(experiment, config, tmp_path, None)
    assert trained.history.best == pytest.approx(base_rmse(experiment), abs=1e-6)
    assert read_checkpoint(tmp_path / BEST)["state_dict"] == {}
    assert (tmp_path / LAST).is_file()
