"""Searches from their start to their champion, in this process."""

import logging
import math
from types import SimpleNamespace

import optuna
import pytest
from hydra.errors import HydraException
from mlflow.entities import ViewType

from hydra_plugins.mlssm_optuna._heartbeat import Heartbeat
from hydra_plugins.mlssm_optuna._storage import open_storage
from mlssm.config import TrackingConfig
from mlssm.errors import ConfigError, DataError, MlssmError
from mlssm.jobs import search as record
from mlssm.jobs import sweep
from mlssm.jobs.outcome import Outcome
from mlssm.tracking.opening import open_store

LAGS = "model.lag=range(1,30)"


def n_trials(number: int) -> str:
    return f"hydra.sweeper.n_trials={number}"


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "nsga2", "grid"])
def test_each_sampler_runs_as_many_different_trials_as_it_is_told(app, sampler: str) -> None:
    space = [LAGS, "model.rate=choice(0.1,0.2)", "group=one,two"]
    options = [f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.startup_trials=3", "hydra.sweeper.population=3"]
    app.search(*space, n_trials(7), *options, "hydra.sweeper.champion=false")
    points = [(job.model.lag, job.model.rate, job.group.name) for job in app.jobs]
    assert len(set(points)) == len(points) == 7
    study = app.study()
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 7
    assert [trial.value for trial in study.trials] == [(lag - 5) ** 2 / 10 for lag, _, _ in points]
    if sampler == "grid":
        assert points[:5] == [(1, 0.1, "one"), (1, 0.1, "two"), (1, 0.2, "one"), (1, 0.2, "two"), (2, 0.1, "one")]


def test_the_best_point_is_trained_once_more_with_all_seeds_and_registered(app) -> None:
    app.search("model.lag=4,5,9", "seeds=3", n_trials(3))
    *trials, champion = app.jobs
    assert [(job.seeds, job.trial.number) for job in trials] == [(1, 0), (1, 1), (1, 2)]
    assert (champion.seeds, champion.trial, champion.model.lag) == (3, None, 5)
    assert app.champions == ["run 3"]
    assert app.study().user_attrs["champion"]["run_id"] == "run 3"
    app.search("model.lag=4,5,9", "seeds=3", n_trials(3))
    assert not app.jobs, "nothing is left to do, the champion neither"


def test_a_search_that_ends_early_says_so(app, caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    # Hydra takes away the root logger's handlers
    monkeypatch.setattr(logging.getLogger("hydra_plugins.mlssm_optuna"), "handlers", [caplog.handler])
    app.search("model.lag=range(2,12,3)", "group=one,two", n_trials(50), "hydra.sweeper.champion=false")
    points = {(job.model.lag, job.group.name) for job in app.jobs}
    assert points == {(lag, name) for lag in (2, 5, 8, 11) for name in ("one", "two")}
    assert len(app.jobs) == 8
    assert "all 8 points of the space are tried" in caplog.text
    assert "COMPLETE (8 of 50)" in caplog.text


def test_a_search_goes_on_as_if_it_had_not_ended(app) -> None:
    options = [LAGS, "model.rate=tag(log,interval(0.001,1))", "hydra.sweeper.champion=false", "seed=3"]
    options += ["hydra.sweeper.startup_trials=4"]
    app.search(*options, n_trials(8), "hydra.sweeper.storage=sqlite:///whole.db")
    whole = [(job.model.lag, job.model.rate) for job in app.jobs]
    app.search(*options, n_trials(5))
    first = [(job.model.lag, job.model.rate) for job in app.jobs]
    app.search(*options, n_trials(8))
    assert [*first, *((job.model.lag, job.model.rate) for job in app.jobs)] == whole
    app.search(*options, n_trials(8))
    assert not app.jobs


def test_failures_are_told_and_the_rest_goes_on(app, caplog: pytest.LogCaptureFixture) -> None:
    def job(config):
        if config.model.lag == 2:
            raise DataError("lag 2 has no weather")
        return Outcome(math.nan if config.model.lag == 3 else 0.1, 1.0, "run")

    with pytest.raises(MlssmError, match=r"2 trials failed in this process \(1, 2\)"):
        app.search("model.lag=1,2,3,4", n_trials(4), "hydra.sweeper.sampler=grid", job=job)
    trials = app.study().trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert trials[1].user_attrs["error"] == "DataError: lag 2 has no weather"
    assert trials[2].user_attrs["error"] == "the objective rmse is nan, not a finite number"
    assert app.champions == ["run"]
    (_, _, table, _) = app.shown[-1]
    assert list(table["failed"]) == [None, "error", "error", None]


def test_an_interrupted_trial_is_tried_again(app) -> None:
    def interrupted(config):
        raise KeyboardInterrupt

    options = [LAGS, "hydra.sweeper.champion=false", n_trials(2)]
    with pytest.raises(KeyboardInterrupt):
        app.search(*options, job=interrupted)
    (lag,) = app.lags
    app.search(*options)
    assert app.lags[0] == lag
    trials = app.study().trials
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert list(app.shown[-1][2]["retry_of"])[1] == 0


def test_two_objectives(app) -> None:
    app.draws = True
    app.search(LAGS, n_trials(6), "hydra.sweeper.objectives=[rmse,cost]", "hydra.sweeper.sampler=nsga2")
    study = app.study()
    assert study.directions == [optuna.study.StudyDirection.MINIMIZE] * 2
    points = [((lag - 5) ** 2 / 10, lag) for lag in app.lags[:-1]]
    front = [
        (rmse, lag)
        for rmse, lag in points
        if not any((r <= rmse and c < lag) or (r < rmse and c <= lag) for r, c in points)
    ]
    assert {trial.params["model.lag"] for trial in study.best_trials} == {lag for _, lag in front}
    assert app.lags[-1] == min(front)[1], "the most accurate one of the front"
    figures, missing, table, tags = app.shown[-1]
    assert {"history_rmse", "history_cost", "importances_rmse", "importances_cost", "pareto"} == set(figures)
    assert not missing
    assert len(table) == 6
    assert tags["study.complete"] == 6


def test_figures_that_are_missing_have_a_reason(app) -> None:
    app.draws = True
    app.search("model.lag=1,2", n_trials(2), "hydra.sweeper.champion=false", job=lambda config: Outcome(0.5, 1.0, ""))
    figures, missing, _, _ = app.shown[-1]
    assert set(figures) == {"history_rmse"}
    assert missing == {"importances_rmse": "all 2 complete trials have rmse 0.5"}


@pytest.mark.parametrize("text", ["[16]", "'a b'", "1.0", "true"])
def test_choices_reach_the_job_as_hydra_reads_them(app, text: str) -> None:
    app.search(
        f"model.hidden=choice({text},[32,32])", "+model.new=choice(1,true)", n_trials(9), "hydra.sweeper.champion=false"
    )
    assert len(app.jobs) == 4
    values = {"[16]": [16], "'a b'": "a b", "1.0": 1.0, "true": True}
    found = [job.model.hidden for job in app.jobs]
    assert found.count(values[text]) == found.count([32, 32]) == 2
    assert sorted(str(job.model.new) for job in app.jobs) == ["1", "1", "True", "True"]


def test_the_command_line_replaces_what_the_search_sweeps(app) -> None:
    (app.folder / "conf" / "search").mkdir()
    (app.folder / "conf" / "search" / "both.yaml").write_text(
        "# @package _global_\ndefaults: [{override /hydra/sweeper: optuna}]\n"
        "hydra: {sweeper: {n_trials: 6, params: {model.lag: 'range(1,9)', model.rate: 'choice(0.1,0.5)'}}}\n"
    )
    app.search("+search=both", "model.lag=7", "hydra.sweeper.champion=false")
    assert [job.model.lag for job in app.jobs] == [7, 7]
    assert app.studies[0].startswith("both-")


BAD = {
    "nothing to search": ([], ConfigError),
    "model.lagg": (["model.lagg=1,2"], HydraException),
    "group/three": (["group=one,three"], HydraException),
    "n_trials=0": ([LAGS, n_trials(0)], ConfigError),
    "begins above 0": (["model.rate=tag(log,interval(0,1))"], ConfigError),
    "range is empty": (["model.lag=range(3,3)"], ConfigError),
    "the only tag is log": (["model.lag=tag(big,range(1,3))"], ConfigError),
    "the search sets seeds itself": (["seeds=1,2"], ConfigError),
    "unknown objective 'r2'": ([LAGS, "hydra.sweeper.objectives=[r2]"], ConfigError),
    "knows one objective": ([LAGS, "hydra.sweeper.objectives=[rmse,cost]", "hydra.sweeper.pruner=median"], ConfigError),
    "grace_s=10 must be above heartbeat_s=10": ([LAGS, "hydra.sweeper.grace_s=10"], ConfigError),
    "names no file": ([LAGS, "hydra.sweeper.storage='sqlite://'"], ConfigError),
    "give sqlite": ([LAGS, "hydra.sweeper.storage=redis://me:secret@host/0"], ConfigError),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_searched_is_refused_before_any_trial(app, message: str) -> None:
    arguments, kind = BAD[message]
    with pytest.raises(kind) as caught:
        app.search(*arguments)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not app.jobs


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["hydra.sweeper.objectives=[cost]"], "objectives ['rmse'], not ['cost']"),
        (["model.rate=0.1,0.2"], "model.rate"),
        (["data=there"], "data here, not there"),
    ],
)
def test_a_study_of_another_search_is_refused(app, change: list[str], named: str) -> None:
    same = [LAGS, n_trials(2), "hydra.sweeper.study_name='my: study'", "hydra.sweeper.champion=false"]
    app.search(*same)
    assert app.studies == ["my: study"]
    with pytest.raises(ConfigError, match="is another search") as caught:
        app.search(*same, *change)
    assert named in str(caught.value)
    app.search(*same[:1], n_trials(3), *same[2:], "seeds=4")
    assert len(app.jobs) == 1, "more trials and seeds are the same search"


def test_other_data_make_another_study(app) -> None:
    app.search(LAGS, n_trials(1), "hydra.sweeper.champion=false")
    app.search(LAGS, n_trials(1), "hydra.sweeper.champion=false", "data=there")
    assert len(app.jobs) == 1
    assert app.studies[0] != app.studies[1]


def test_a_worker_leaves_the_champion_to_the_one_that_trains_it(app) -> None:
    told = [LAGS, n_trials(2)]
    app.search(*told, "hydra.sweeper.champion=false")
    study = app.study()
    storage = open_storage(f"sqlite:///{app.folder / 'kept' / 'optuna.db'}")
    other = optuna.create_study(study_name=f"{study.study_name} champion", storage=storage)
    heartbeat = Heartbeat(storage, SimpleNamespace(max_retries=2))
    heartbeat.begin(other, other.ask().number)
    app.search(*told)
    assert (app.jobs, app.champions, app.studies[-1]) == ([], [], "left running")
    other.tell(0, state=optuna.trial.TrialState.FAIL)
    app.search(*told)
    assert app.champions == ["run 2"]


def test_a_search_that_is_resumed_goes_on_under_its_one_parent_run(app) -> None:
    app.monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    app.monkeypatch.setattr(record, "join", sweep.set_study)
    told = ["+tracking.experiment=mine", "+tracking.uri=null", "+tracking.run_name=null"]
    told += ["+hydra.callbacks.sweep_parent._target_=mlssm.jobs.sweep.SweepParent", "hydra.sweeper.champion=false"]
    for trials in (3, 5):
        app.search(LAGS, n_trials(trials), *told)
    store = open_store(TrackingConfig(experiment="mine", folder=app.folder / "kept", uri=None, run_name=None))
    runs = store.client.search_runs([store.experiment_id], run_view_type=ViewType.ALL)
    assert [(run.info.status, run.info.lifecycle_stage) for run in runs] == [("FINISHED", "active")]
