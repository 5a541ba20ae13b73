import math
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from mlssm.data.batch import Batch
from mlssm.training.history import History
from mlssm.training.module import SoilMoistureModule

Loaders = Callable[..., DataLoader[Batch]]
Trainers = Callable[..., pl.Trainer]


def test_every_epoch_is_a_point_and_the_sanity_check_is_none(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    history = History()
    run = trainer(max_epochs=3, extra_callbacks=(history,))
    run.fit(module, loaders(), loaders(8, seed=1))
    assert [point.epoch for point in history.points] == [1, 2, 3]
    assert history.points[-1].val_rmse == run.callback_metrics["val/natural/rmse"].item()
    assert history.points[-1].train_loss == pytest.approx(run.callback_metrics["train/loss"].item())
    assert history.best == min(point.val_rmse for point in history.points)


def test_an_epoch_without_validation_does_not_repeat_the_last_score(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    history = History()
    run = trainer(max_epochs=4, check_val_every_n_epoch=2, extra_callbacks=(history,))
    run.fit(module, loaders(), loaders(8, seed=1))
    assert [math.isnan(point.val_rmse) for point in history.points] == [True, False, True, False]


def test_without_a_score_there_is_no_best() -> None:
    assert math.isnan(History().best)


def test_a_checkpoint_carries_the_course(
    module: SoilMoistureModule, trainer: Trainers, loaders: Loaders, tmp_path: Path
) -> None:
    history, other = History(), History()
    trainer(max_epochs=3, extra_callbacks=(history,)).fit(module, loaders(), loaders(8, seed=1))
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    other.load_state_dict(kept["callbacks"][other.state_key])
    assert other.points == history.points
    assert len(other.points) == 3
