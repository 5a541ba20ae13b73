"""Pruning from the job's process, by the storage alone."""

import optuna
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from hydra_plugins.mlssm_optuna._pruning import TrialWatch
from hydra_plugins.mlssm_optuna._storage import STORAGE
from mlssm.errors import RunError
from mlssm.jobs.outcome import Outcome


def trained(config) -> Outcome:
    """Nine epochs that come down to lag / 100, unless the watch stops them."""
    watch = instantiate(OmegaConf.to_container(config.trial)) if config.trial else None
    for epoch in range(1, 10):
        rmse = config.model.lag / 100 + 1 / epoch
        if watch is not None and watch.report(epoch, rmse):
            return Outcome(rmse, 1.0, f"run {config.trial.number}", pruned_epoch=epoch)
    return Outcome(rmse, 1.0, "run")


def test_the_median_stops_what_is_worse_than_most(app) -> None:
    lags = "model.lag=1,2,3,9,8,4"
    options = ["hydra.sweeper.sampler=grid", "hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=6"]
    options += ["hydra.sweeper.pruning.startup_trials=3", "hydra.sweeper.pruning.warmup_epochs=4"]
    app.search(lags, *options, job=trained)
    trials = app.study().trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3 + ["PRUNED"] * 3
    assert [trial.last_step for trial in trials] == [9, 9, 9, 5, 5, 5]
    assert trials[3].user_attrs["run_id"] == "run 3"
    assert trials[0].intermediate_values == {epoch: 0.01 + 1 / epoch for epoch in range(1, 10)}
    assert app.jobs[-1].model.lag == 1
    assert app.jobs[-1].trial is None


def test_hyperband_stops_some(app) -> None:
    options = ["hydra.sweeper.pruner=hyperband", "hydra.sweeper.n_trials=9", "hydra.sweeper.pruning.min_epochs=1"]
    app.search("model.lag=range(1,30)", *options, "hydra.sweeper.champion=false", job=trained)
    states = {trial.state.name for trial in app.study().trials}
    assert states == {"COMPLETE", "PRUNED"}
    assert len(app.jobs) == 9


def test_a_watch_without_a_search_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STORAGE, raising=False)
    with pytest.raises(RunError, match="start the search with"):
        TrialWatch("study", 0)


def test_the_watch_draws_no_point(app) -> None:
    app.search("model.lag=range(1,30)", "hydra.sweeper.n_trials=1", "hydra.sweeper.champion=false", job=trained)
    before = app.study().trials[0]
    assert before.state == optuna.trial.TrialState.COMPLETE
    assert len(before.intermediate_values) == 9
    assert before.params == {"model.lag": app.lags[0]}
