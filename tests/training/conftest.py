"""A small task that can be learned: wet where the last rain fell and the slope is gentle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from mlssm.config import LossConfig, OptimiserConfig
from mlssm.data.batch import Batch
from mlssm.models.convlstm import ConvLSTM
from mlssm.training.module import SoilMoistureModule
from mlssm.training.trainer import build_trainer

DATES = 3
BINS = 5


class Patches(Dataset[Batch]):
    """Made-up patches of 6 x 5 pixels and 3 steps."""

    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.dynamic = torch.randn(n, 3, 2, 6, 5, generator=generator)
        self.static = torch.randn(n, 1, 6, 5, generator=generator)
        self.target = torch.sigmoid(self.dynamic[:, -1, :1] - self.static)
        self.valid = torch.rand(n, 1, 6, 5, generator=generator) > 0.2
        self.target[~self.valid] = torch.nan

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: int) -> Batch:
        valid = self.valid[index]
        error = torch.where(valid, 0.05, torch.nan)
        date, weight = torch.tensor(index % DATES), torch.tensor(1.0 + index % 2)
        target = self.target[index]
        return Batch(
            self.dynamic[index], self.static[index], target, valid, error, date, weight, 0.9 * target, 10 * error
        )


def loader(n: int = 32, seed: int = 0, batch_size: int = 8, shuffle: bool = False) -> DataLoader[Batch]:
    return DataLoader(Patches(n, seed), batch_size=batch_size, shuffle=shuffle)


@pytest.fixture
def loaders() -> Callable[..., DataLoader[Batch]]:
    """Makes DataLoaders of the task."""
    return loader


@pytest.fixture
def optimiser() -> OptimiserConfig:
    return OptimiserConfig(learning_rate=0.02, weight_decay=0.01, batch_size=8, patience=2, workers=0)


@pytest.fixture
def module(optimiser: OptimiserConfig) -> SoilMoistureModule:
    pl.seed_everything(0, verbose=False)
    network = ConvLSTM(2, 1, (6,), 3, False, 0.1)
    return SoilMoistureModule(network, LossConfig(name="huber"), optimiser, DATES, BINS)


@pytest.fixture
def trainer(tmp_path: Path, optimiser: OptimiserConfig) -> Callable[..., pl.Trainer]:
    """Makes Trainers on the CPU that keep checkpoints in the test's folder."""

    def make(**arguments: Any) -> pl.Trainer:
        callbacks = arguments.pop("extra_callbacks", ())
        fixed = {"accelerator": "cpu", "devices": 1, "enable_model_summary": False, "max_epochs": 2}
        return build_trainer({**fixed, **arguments}, optimiser, tmp_path / "checkpoints", None, callbacks)

    return make
