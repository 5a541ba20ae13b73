"""A simulated experiment, a network that was never trained, and their evaluation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.models.convlstm import ConvLSTM

BINS = 5


@pytest.fixture(scope="session")
def experiment(watershed: Any) -> Experiment:
    """Patches of 9 pixels on an area of 20: the last of each row and column reach past it."""
    found: Experiment = watershed.experiment(
        "patches.size=9", "patches.dense_stride=3", "sampler=two_pass", "model.lag=2"
    )
    return found


@pytest.fixture(scope="session")
def network(experiment: Experiment) -> nn.Module:
    """Random weights; what is scored does not matter."""
    torch.manual_seed(0)
    return ConvLSTM(len(experiment.spec.dynamic), len(experiment.spec.static), (4,), 3, False, 0.5)


@pytest.fixture(scope="session")
def evaluation(experiment: Experiment, network: nn.Module) -> Evaluation:
    """In batches of 7."""
    return evaluate(experiment, network, 7, BINS)


@pytest.fixture(scope="session")
def evaluate_again(experiment: Experiment, network: nn.Module) -> Callable[[int], Evaluation]:
    """The same in batches of another size."""
    return lambda batch_size: evaluate(experiment, network, batch_size, BINS)
