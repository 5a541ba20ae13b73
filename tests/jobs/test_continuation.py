"""The configuration of a run that goes on: its own, with what the command line changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlssm.errors import ConfigError
from mlssm.jobs.continuation import changed

Compose = Callable[..., dict[str, Any]]
RECORDED = ("model.lag=7", "sampler=two_pass", "optimiser.learning_rate=0.01", "seed=4")


@pytest.fixture(scope="module")
def recorded(composed: Compose) -> dict[str, Any]:
    return composed("train", *RECORDED)


def test_a_run_goes_on_with_its_own_configuration(recorded: dict[str, Any], composed: Compose) -> None:
    config, values = changed(recorded, composed("train", "resume=abc"), ["resume=abc"])
    assert (config.window.lag, config.sampler.name, config.optimiser.learning_rate) == (7, "two_pass", 0.01)
    assert values == recorded


def test_the_command_line_changes_single_keys_and_whole_groups(recorded: dict[str, Any], composed: Compose) -> None:
    told = ["fork=abc", "optimiser.learning_rate=0.001", "loss=mse", "+trainer.precision=64-true"]
    config, _ = changed(recorded, composed("train", *told), told)
    assert (config.optimiser.learning_rate, config.loss.name) == (0.001, "mse")
    assert (config.trainer["precision"], config.trainer["max_epochs"]) == ("64-true", 60)
    assert (config.window.lag, config.sampler.name) == (7, "two_pass")


def test_where_it_is_kept_is_the_commands_affair(recorded: dict[str, Any], composed: Compose) -> None:
    told = ["resume=abc", "tracking.experiment=other"]
    config, _ = changed(recorded, composed("train", *told), told)
    assert config.tracking.experiment == "other"


def test_a_key_that_the_record_does_not_have_yet_takes_the_default(recorded: dict[str, Any], composed: Compose) -> None:
    older = {key: value for key, value in recorded.items() if key != "control"}
    config, _ = changed(older, composed("train", "resume=abc"), ["resume=abc"])
    assert config.control == "none"


def test_the_record_itself_is_not_touched(recorded: dict[str, Any], composed: Compose) -> None:
    before = recorded["optimiser"]["learning_rate"]
    told = ["fork=abc", "optimiser.learning_rate=0.5"]
    changed(recorded, composed("train", *told), told)
    assert recorded["optimiser"]["learning_rate"] == before


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("protocol=paper", r"protocol=paper: a run that goes on keeps its own configuration"),
        ("~trainer.gradient_clip_val", r"~trainer.gradient_clip_val: a key of a run that goes on cannot be taken away"),
    ],
)
def test_what_cannot_be_changed_is_said(recorded: dict[str, Any], composed: Compose, told: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed(recorded, composed("train", "resume=abc", told), ["resume=abc", told])


def test_the_three_verbs_exclude_each_other(train_config: Any) -> None:
    with pytest.raises(ConfigError, match="resume and fork exclude each other; give one of them"):
        train_config("resume=a", "fork=b")


def test_what_trains_nothing_goes_on_from_no_run(train_config: Any) -> None:
    with pytest.raises(ConfigError, match="task=labels trains nothing, so that resume has no meaning; leave it out"):
        train_config("+report=labels", "resume=a")
