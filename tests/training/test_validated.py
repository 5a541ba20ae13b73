"""A training that ends before its first validation is refused; 4 batches an epoch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from mlssm.checkpoint import read_checkpoint
from mlssm.data.batch import Batch
from mlssm.errors import ConfigError
from mlssm.training.history import History
from mlssm.training.module import SoilMoistureModule

Loaders = Callable[..., DataLoader[Batch]]
Trainers = Callable[..., pl.Trainer]
ANYWHERE = {"check_val_every_n_epoch": None}  # the interval counts batches of the whole training

pytestmark = pytest.mark.filterwarnings("ignore:.*max_epochs.*was not set")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"max_steps": 3},
            "trainer.max_steps=3 ends the training before its first .* after 4 steps, in epoch 1",
        ),
        ({"max_steps": 3, "max_epochs": None}, "trainer.max_steps=3 ends"),
        ({"max_steps": 7, "check_val_every_n_epoch": 2}, "comes after 8 steps, in epoch 2"),
        ({"max_steps": 1, "accumulate_grad_batches": 2}, "comes after 2 steps"),
        ({"max_steps": 5, "val_check_interval": 6, **ANYWHERE}, "comes after 6 steps, in epoch 2"),
        ({"val_check_interval": 9, **ANYWHERE}, "trainer.max_epochs=2 ends the .* in epoch 3; set it to 3 or more"),
    ],
)
def test_a_training_without_a_validation_is_refused(
    arguments: dict[str, Any], told: str, module: SoilMoistureModule, trainer: Trainers, loaders: Loaders
) -> None:
    with pytest.raises(ConfigError, match=told):
        trainer(**arguments).fit(module, loaders(), loaders(8))


@pytest.mark.parametrize(
    ("arguments", "validations", "steps"),
    [
        ({"max_steps": 4}, 1, 4),
        ({"max_steps": 6}, 1, 6),  # the second epoch is cut and has no score
        ({"max_steps": 2, "accumulate_grad_batches": 2}, 1, 2),
        ({"max_steps": 2, "val_check_interval": 2}, 1, 2),
        ({"val_check_interval": 0.5}, 4, 8),
        ({"val_check_interval": 1}, 8, 8),
        ({"max_steps": 6, "val_check_interval": 6, **ANYWHERE}, 1, 6),
        ({"val_check_interval": 8, **ANYWHERE}, 1, 8),
    ],
)
def test_any_other_keeps_the_best_of_its_validations(
    arguments: dict[str, Any],
    validations: int,
    steps: int,
    module: SoilMoistureModule,
    trainer: Trainers,
    loaders: Loaders,
    tmp_path: Path,
) -> None:
    history, scores = History(), Scores()
    run = trainer(**arguments, num_sanity_val_steps=0, extra_callbacks=(history, scores))
    run.fit(module, loaders(), loaders(8, seed=1))
    assert len(scores.found) == validations
    assert run.global_step == steps
    assert history.best == min(score for score, _ in scores.found)
    best = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert best["global_step"] == dict(scores.found)[history.best], "the checkpoint is of that validation"
    again = History()
    again.load_state_dict(history.state_dict())
    assert again.best == history.best


class Scores(pl.Callback):
    """Every validation's score and the step that it was made at."""

    def __init__(self) -> None:
        self.found: list[tuple[float, int]] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.found.append((float(trainer.callback_metrics["val/natural/rmse"]), trainer.global_step))
