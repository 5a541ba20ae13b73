"""What a network costs a pixel: operations of its recurrence are counted whatever library runs them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from mlssm.data.batch import Batch
from mlssm.data.spec import FeatureSpec
from mlssm.jobs.single import cost
from mlssm.models.lstm import LSTMSettings

SPEC = FeatureSpec(("precipitation", "temperature"), ("slope",), (1.0, 10.0, 5.0), (1.0, 5.0, 3.0))


def test_an_lstm_of_pixels_costs_its_matrices() -> None:
    settings = LSTMSettings(family="mlssm.models.lstm.LSTMSettings", hidden=4, layers=1, dropout=0, input_dropout=0)
    rest: Any = (None,) * 5
    target = torch.zeros(1, 6, 6)
    item = Batch(torch.zeros(5, 2, 6, 6), torch.zeros(1, 6, 6), target, target > 0, *rest)
    experiment = cast("Any", SimpleNamespace(datasets={"train": [item]}))
    found = cost(experiment, settings.build(SPEC, spread=False))
    # a multiplication and an addition for each weight: four gates of 4, from 3 inputs and 4 states, in 5 steps; a head
    assert found == pytest.approx(2 * (5 * 16 * (3 + 4) + 4))
