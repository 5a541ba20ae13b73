"""Processes that are killed, and several that share a study."""

import os
import signal
import time

import pytest

from hydra_plugins.mlssm_optuna._owner import Owner

LAGS = "model.lag=range(1,9)"
SIX = ["hydra.sweeper.n_trials=6", "hydra.sweeper.sampler=grid"]


def ended(process, code: int) -> str:
    error = process.communicate(timeout=120)[1]
    assert process.returncode == code, error
    return error


def kept_states(study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def lags_that_count(study) -> list[int]:
    return sorted(trial.params["model.lag"] for trial in study.trials if trial.state.name == "COMPLETE")


@pytest.mark.parametrize("storage", ["sqlite:///kept/optuna.db", "journal:kept/study.journal"])
def test_a_search_that_is_killed_goes_on(app, storage: str) -> None:
    (app.folder / "kill").write_text("2")
    options = [LAGS, *SIX, f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=same"]
    ended(app.start(*options), -signal.SIGKILL)
    address = storage.replace("kept", str(app.folder / "kept"))
    assert kept_states(app.study(address)) == ["COMPLETE", "COMPLETE", "RUNNING"]
    app.search(*options)
    study = app.study(address)
    assert kept_states(study) == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 4]
    assert study.trials[3].user_attrs["retry_of"] == 2
    assert study.trials[3].params == study.trials[2].params
    assert lags_that_count(study) == [1, 2, 3, 4, 5, 6], "each point once, as if nobody had been killed"
    assert app.champions == ["run 7"]


def test_two_workers_share_a_study(app) -> None:
    process = app.start(LAGS, *SIX, "hydra.sweeper.n_jobs=2", PAUSE="0.3")
    ended(process, 0)
    study = app.study()
    assert lags_that_count(study) == [1, 2, 3, 4, 5, 6]
    assert {trial.user_attrs["owner"]["pid"] for trial in study.trials} > {process.pid}
    assert (app.folder / "champions").read_text().splitlines() == ["run of -1"], "one champion, not two"


def test_a_point_that_kills_every_process_is_given_up(app) -> None:
    app.monkeypatch.setattr(Owner, "alive", lambda owner, grace_s: False)
    options = [
        "model.lag=4,7",
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.sampler=grid",
        "hydra.sweeper.champion=false",
    ]

    def deadly(config):
        if config.model.lag == 4:
            raise KeyboardInterrupt  # of a killed one nothing more is left
        return 0

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            app.search(*options, job=deadly)
    app.search(*options)
    trials = app.study().trials
    assert [trial.params["model.lag"] for trial in trials] == [4, 4, 4, 7]
    assert trials[2].user_attrs["failed"] == "error"
    assert "3 times in a row" in trials[2].user_attrs["error"]


def test_a_worker_is_known_by_more_than_its_number() -> None:
    here = Owner.here()
    assert here.alive(1)
    assert not Owner(here.host, here.pid, here.started - 60, here.beat).alive(1), "another process of the same number"
    assert Owner("elsewhere", 1, 0, time.time()).alive(10)
    assert not Owner("elsewhere", 1, 0, time.time() - 20).alive(10)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    gone = Owner(here.host, child, time.time(), time.time())
    assert not gone.alive(10), "a zombie"
    os.waitpid(child, 0)
    assert not gone.alive(10)
