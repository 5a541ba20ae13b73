"""Processes that are killed, and several that share a study."""

import datetime as dt
import signal

import pytest

from mlssm.jobs.outcome import Outcome

pytestmark = pytest.mark.slow

LAGS = "model.lag=range(1,9)"
GRACE = dt.timedelta(seconds=2)
SOON = ["hydra.sweeper.heartbeat_s=1", f"hydra.sweeper.grace_s={GRACE.seconds}"]
SIX = ["hydra.sweeper.n_trials=6", "hydra.sweeper.sampler=grid"]


def ended(process, code: int) -> str:
    error = process.communicate(timeout=120)[1]
    assert process.returncode == code, error
    return error


def kept_states(study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def lags_that_count(study) -> list[int]:
    return sorted(trial.params["model.lag"] for trial in study.trials if trial.state.name == "COMPLETE")


@pytest.mark.exhaustive
@pytest.mark.parametrize("storage", ["sqlite:///kept/optuna.db", "journal:kept/study.journal"])
def test_a_search_that_is_killed_goes_on(app, storage: str) -> None:
    (app.folder / "kill").write_text("2")
    options = [LAGS, *SIX, f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=same", *SOON]
    ended(app.start(*options), -signal.SIGKILL)
    address = storage.replace("kept", str(app.folder / "kept"))
    assert kept_states(app.study(address)) == ["COMPLETE", "COMPLETE", "RUNNING"]
    app.search(*options)
    study = app.study(address)
    assert kept_states(study) == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 4]
    assert sorted(app.lags[:-1]) == [3, 4, 5, 6], "what is new, and what died once more"
    assert app.lags[-1] == 5, "the champion"
    assert [number for number in app.shown[-1][2]["retry_of"] if number == number] == [2]
    (again,) = (trial for trial in study.trials[3:] if trial.params["model.lag"] == 3)
    assert again.datetime_start - study.trials[2].datetime_start >= GRACE, "when it is sure, not before"
    assert lags_that_count(study) == [1, 2, 3, 4, 5, 6], "each point once, as if nobody had been killed"
    assert app.champions == ["run 7"]


@pytest.mark.exhaustive
def test_two_workers_share_a_study(app) -> None:
    process = app.start(LAGS, *SIX, "hydra.sweeper.n_jobs=2", PAUSE="0.3")
    ended(process, 0)
    study = app.study()
    assert lags_that_count(study) == [1, 2, 3, 4, 5, 6]
    workers = set((app.folder / "workers").read_text().split())
    assert len(workers) == 2
    assert str(process.pid) in workers
    assert (app.folder / "champions").read_text().splitlines() == ["run of -1"], "one champion, not two"


def test_a_point_that_kills_every_process_is_given_up(app) -> None:
    options = [
        "model.lag=4,7",
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.sampler=grid",
        "hydra.sweeper.champion=false",
    ]

    def deadly(config):
        if config.model.lag == 4:
            raise KeyboardInterrupt  # of a killed one nothing more is left
        return Outcome(0.1, 1.0, "run")

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            app.search(*options, job=deadly)
    app.search(*options)
    trials = app.study().trials
    assert [trial.params["model.lag"] for trial in trials] == [4, 4, 4, 7]
    table = app.shown[-1][2]
    assert list(table["failed"]) == ["died", "died", "error", None]
    assert table["error"][2] == "its process ended, 3 times in a row"
