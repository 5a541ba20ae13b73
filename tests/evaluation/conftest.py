"""A simulated experiment, a network that was never trained, and their evaluation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.models.convlstm import ConvLSTM

# patches of 9 pixels on an extent of 20: the last of each row and column reach past it; blocks of 6 pixels
OVERRIDES = (
    *("patches.size=9", "patches.dense_stride=3", "sampler=two_pass", "model.lag=2", "ssm_bins=5"),
    *("evaluation.block_m=540", "evaluation.draws=200", "evaluation.two_pass=true", "optimiser.batch_size=7"),
)


@pytest.fixture(scope="session")
def overrides() -> tuple[str, ...]:
    """Of the watershed's configuration."""
    return OVERRIDES


@pytest.fixture(scope="session")
def config(watershed: Any) -> TrainConfig:
    """Of the experiment, and of how it is scored."""
    found: TrainConfig = watershed.config(*OVERRIDES)
    return found


@pytest.fixture(scope="session")
def experiment(watershed: Any) -> Experiment:
    """Patches of both passes in the training split."""
    found: Experiment = watershed.experiment(*OVERRIDES)
    return found


@pytest.fixture(scope="session")
def networks(experiment: Experiment) -> tuple[nn.Module, ...]:
    """Random weights of three seeds; what is scored does not matter."""

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return ConvLSTM(len(experiment.spec.dynamic), len(experiment.spec.static), (4,), 3, False, 0.5).eval()

    return tuple(network(seed) for seed in range(3))


@pytest.fixture(scope="session")
def network(networks: tuple[nn.Module, ...]) -> nn.Module:
    """The first of them."""
    return networks[0]


@pytest.fixture(scope="session")
def evaluation(experiment: Experiment, network: nn.Module, config: TrainConfig) -> Evaluation:
    """In batches of 7."""
    return evaluate(experiment, network, config)


@pytest.fixture(scope="session")
def evaluate_again(experiment: Experiment, network: nn.Module, watershed: Any) -> Callable[..., Evaluation]:
    """The same under more overrides."""
    return lambda *more: evaluate(experiment, network, watershed.config(*OVERRIDES, *more))
