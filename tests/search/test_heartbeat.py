"""Signs of life, in a database and in a journal, without waiting for them to fail."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from hydra_plugins.mlssm_optuna import _heartbeat
from hydra_plugins.mlssm_optuna._champion import claimed
from hydra_plugins.mlssm_optuna._heartbeat import SIGN, Heartbeat, retries
from hydra_plugins.mlssm_optuna._space import Choice, Space
from hydra_plugins.mlssm_optuna._storage import open_storage
from hydra_plugins.mlssm_optuna._trials import DIED, ERROR, Trials

SETTINGS: Any = SimpleNamespace(heartbeat_s=10, grace_s=60, max_retries=2, n_trials=9)
SPACE = Space({"lag": Choice((1, 2, 3), ("1", "2", "3"))})
DIES = 3600  # seconds


@pytest.fixture(params=["sqlite", "journal"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {"sqlite": f"sqlite:///{tmp_path / 'study.db'}", "journal": f"journal:{tmp_path / 'study.journal'}"}[
        request.param
    ]


@pytest.fixture
def trials(address: str) -> Trials:
    storage = open_storage(address, SETTINGS)
    study = optuna.create_study(study_name="study", storage=storage)
    return Trials(study, Heartbeat(storage, SETTINGS), SPACE, SETTINGS)


@pytest.fixture
def an_hour_passes(address: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def passes() -> None:
        later = time.time() + DIES
        monkeypatch.setattr(_heartbeat.time, "time", lambda: later)
        if address.startswith("sqlite"):  # whose own clock tells how old a sign is
            with sqlite3.connect(address.removeprefix("sqlite:///")) as database:
                database.execute("update trial_heartbeats set heartbeat = datetime(heartbeat, '-1 hour')")

    return passes


def begun(trials: Trials) -> int:
    number = trials.study.ask(SPACE.distributions()).number
    trials.heartbeat.begin(trials.study, number)
    return number


def alive_numbers(trials: Trials) -> list[int]:
    trials.heartbeat.fail_stale(trials.study)
    return [trial.number for trial in trials.running()]


def states(trials: Trials) -> list[str]:
    return [trial.state.name for trial in trials.all()]


def test_a_trial_that_gives_signs_runs_and_one_that_gives_none_is_tried_again(trials: Trials, an_hour_passes) -> None:
    silent = begun(trials)
    assert alive_numbers(trials) == [silent]
    an_hour_passes()
    alive = begun(trials)
    assert alive_numbers(trials) == [alive]
    assert states(trials) == ["FAIL", "RUNNING", "WAITING"]
    dead, _, waiting = trials.all()
    assert (waiting.params, retries(waiting)) == (dead.params, [silent])
    assert trials.failure(dead) == (DIED, "its process ended")
    assert trials.counted() == [trials.by_number(alive)]
    assert trials.study.ask(SPACE.distributions()).params == dead.params


def test_a_trial_that_was_killed_before_its_first_sign_is_noticed_too(trials: Trials, an_hour_passes) -> None:
    trials.study.ask(SPACE.distributions())
    assert alive_numbers(trials) == [0]
    an_hour_passes()
    assert alive_numbers(trials) == []
    assert states(trials) == ["FAIL", "WAITING"]


def test_a_point_is_given_up_after_its_retries_and_counts(trials: Trials, an_hour_passes) -> None:
    for _ in range(SETTINGS.max_retries + 1):
        begun(trials)
        an_hour_passes()
        trials.heartbeat.fail_stale(trials.study)
    assert states(trials) == ["FAIL"] * 3
    assert [trials.failure(trial)[0] for trial in trials.all()] == [DIED, DIED, ERROR]
    assert trials.failure(trials.all()[2])[1] == "its process ended, 3 times in a row"
    assert len(trials.counted()) == 1
    assert len({tuple(trial.params.items()) for trial in trials.all()}) == 1


def test_signs_are_given_while_a_block_runs_and_a_storage_that_fails_is_tried_again(
    trials: Trials, an_hour_passes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    number = begun(trials)
    an_hour_passes()
    quick = Heartbeat(trials.heartbeat.storage, SimpleNamespace(**vars(SETTINGS) | {"heartbeat_s": 0.01}))
    given: list[int] = []
    real, broken = quick._give, [OSError("the disk is away"), optuna.exceptions.StorageInternalError("so is the other")]

    def sometimes(trial_id: int) -> None:
        if broken:
            raise broken.pop(0)
        real(trial_id)
        given.append(trial_id)

    monkeypatch.setattr(quick, "_give", sometimes)
    with caplog.at_level(logging.WARNING), quick.beating(trials.study, [number]):
        end = time.monotonic() + 10
        while not given:
            time.sleep(0.02)
            assert time.monotonic() < end
    assert alive_numbers(trials) == [number]
    assert "trials [0]: no sign of life could be given: the disk is away" in caplog.text


def test_a_stopped_trial_is_tried_again_at_once_and_only_once(trials: Trials) -> None:
    number = begun(trials)
    trial = trials.by_number(number)
    trials.release([number])
    trials.heartbeat.fail(trials.study, trial)  # as a worker that was slower
    assert states(trials) == ["FAIL", "WAITING"]
    assert trials.tell(number, "COMPLETE", [0.1], {}) is False


def test_one_worker_at_a_time_has_the_right_to_train_the_champion(trials: Trials, an_hour_passes) -> None:
    with claimed(trials) as first, claimed(trials) as second:
        assert (first, second) == (True, False)
    killed = claimed(trials)
    assert killed.__enter__()
    an_hour_passes()
    with claimed(trials) as after:
        assert after


def test_a_retried_trial_that_is_killed_before_its_first_sign_is_noticed_too(trials: Trials, an_hour_passes) -> None:
    begun(trials)
    an_hour_passes()
    trials.heartbeat.fail_stale(trials.study)
    again = trials.study.ask(SPACE.distributions())
    assert SIGN in again.user_attrs, "Optuna copies that of the one before, which says nothing of this one"
    an_hour_passes()
    assert alive_numbers(trials) == []
    assert states(trials) == ["FAIL", "FAIL", "WAITING"]


def test_a_worker_that_looks_whether_others_run_takes_no_point_from_the_one_that_asks_next(
    trials: Trials, an_hour_passes
) -> None:
    dead = trials.by_number(begun(trials))
    an_hour_passes()
    assert [trial.number for trial in trials.running()] == [dead.number], "it waits on"
    trials.heartbeat.fail_stale(trials.study)
    assert trials.study.ask(SPACE.distributions()).params == dead.params
