import copy
from collections.abc import Callable
from typing import Any

import pytest

from mlssm.config import TrainConfig, parse
from mlssm.jobs.recorded import as_of_today

Composed = Callable[..., dict[str, Any]]


def test_a_key_that_came_later_takes_the_commands_value_and_one_that_is_no_more_is_left_out(
    composed: Composed, caplog: pytest.LogCaptureFixture
) -> None:
    now = composed("train", "model.hidden=[8]", "optimiser.patience=3")
    recorded = copy.deepcopy(composed("train", "model.lag=5", "optimiser.patience=20"))
    del recorded["optimiser"]["patience"], recorded["evaluation"]["draws"]
    recorded["optimiser"]["momentum"] = 0.9
    with caplog.at_level("INFO"):
        found = parse(TrainConfig, as_of_today(recorded, now))
    assert (found.window.lag, found.optimiser.patience) == (5, 3)
    assert found.evaluation.draws == now["evaluation"]["draws"]
    for said in ("optimiser.patience is taken as 3", "evaluation.draws is taken as", "optimiser.momentum is no more"):
        assert said in caplog.text


def test_a_run_from_before_there_was_a_choice_of_models_is_of_the_first_family(composed: Composed) -> None:
    recorded = copy.deepcopy(composed("train", "model.lag=5"))
    del recorded["model"]["family"]
    found = parse(TrainConfig, as_of_today(recorded, composed("train")))
    assert (found.model.title, found.window.lag) == ("ConvLSTM", 5)


def test_one_of_this_version_is_left_as_it_is(composed: Composed, caplog: pytest.LogCaptureFixture) -> None:
    recorded = composed("train", "model.lag=5")
    with caplog.at_level("INFO"):
        assert as_of_today(recorded, composed("train")) == recorded
    assert "another version" not in caplog.text
