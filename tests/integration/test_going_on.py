"""Trainings that were broken off, and those that take up another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlssm.errors import DataError
from mlssm.jobs import single

pytestmark = pytest.mark.slow


def _course(project: Any, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(item.step, item.value) for item in project.client.get_metric_history(run_id, name)]


@pytest.fixture
def breaks_off(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the next trainings fail once their network is trained; `undo` on it repairs that."""

    def fail(*_: Any, **__: Any) -> None:
        raise DataError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(single, "evaluate", fail)
        yield patch


def test_a_training_that_was_broken_off_ends_as_the_one_that_was_not(
    trained: Any, tiny: tuple[str, ...], breaks_off: Any
) -> None:
    project, whole = trained
    keep = "tracking.experiment=broken"
    assert project.run("train", *tiny, keep).error == "the disk is full"
    (broken,) = project.runs("broken")
    assert broken.info.status == "FAILED"
    breaks_off.undo()
    done = project.run("train", f"resume={broken.info.run_id[:8]}", keep)
    assert done.code == 0, done.stderr
    assert "INFO epoch" not in done.stderr  # it had been trained to its end
    (resumed,) = project.runs("broken")
    assert (resumed.info.status, done.run_id) == ("FINISHED", broken.info.run_id)
    assert project.numbers(resumed) == project.numbers(project.client.get_run(whole.run_id))
    for name in ("train/loss", "val/natural/rmse"):
        assert _course(project, done.run_id, name) == _course(project, whole.run_id, name)
    assert not [tag for tag in resumed.data.tags if tag.startswith("drift.")]
    again = project.run("train", f"resume={done.run_id}", keep, "trainer.max_epochs=3")
    assert again.code == 0, again.stderr
    (further,) = project.runs("broken")
    assert further.data.tags["drift.trainer.max_epochs"] == "2 -> 3"
    assert len(_course(project, done.run_id, "train/loss")) == 3


@pytest.mark.exhaustive
def test_a_fork_and_a_warm_start_are_new_runs_that_name_their_origin(trained: Any, tiny: tuple[str, ...]) -> None:
    project, whole = trained
    fork = project.run("train", f"fork={whole.run_id}", "trainer.max_epochs=3", "optimiser.learning_rate=0.0005")
    assert fork.code == 0, fork.stderr
    assert fork.stderr.count("INFO epoch ") == 1
    found = project.client.get_run(fork.run_id)
    assert (found.data.tags["mlssm.fork_of"], found.data.params["model.lag"]) == (whole.run_id, "2")
    folder = project.folder / project.client.get_run(whole.run_id).data.tags["mlssm.folder"]
    away = folder.rename(folder.with_name("away"))  # as seen from another machine
    elsewhere = project.run("train", f"fork={whole.run_id}", "trainer.max_epochs=3", "optimiser.learning_rate=0.0005")
    away.rename(folder)
    assert elsewhere.code == 0, elsewhere.stderr
    assert project.numbers(project.client.get_run(elsewhere.run_id)) == project.numbers(found)
    one = ("trainer.max_epochs=1", "optimiser.learning_rate=0.000001")
    warm = project.run("train", *tiny, f"warm_start={whole.run_id}", *one)
    assert warm.code == 0, warm.stderr
    found = project.client.get_run(warm.run_id)
    assert found.data.tags["mlssm.warm_start_from"] == whole.run_id
    # it begins where the other one ended, and takes next to no step from there
    before = project.client.get_run(whole.run_id).data.metrics["val/natural/rmse"]
    assert found.data.metrics["val/natural/rmse"] == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (("resume=nothing-such",), "no run 'nothing-such' in experiment 'mlssm'"),
        (("fork=RUN", "protocol=paper"), "protocol=paper: a run that goes on keeps its own configuration"),
        (("fork=RUN", "resume=RUN"), "resume and fork exclude each other"),
        (("fork=RUN", "model.hidden=[8]"), "of another shape: "),
        (("warm_start=RUN", "model.hidden=[8,8]"), "cells.1."),
        (("fork=RUN", "seeds=2"), "seeds=2: a fork is one training"),
        (("fork=RUN", "+split.inner=seasons", "split.name=by_season"), "keeps what it chooses by"),
        (("fork=RUN", "split.name=leave_one_season_out"), "a fork is one training; fork the run of one of its seasons"),
    ],
)
def test_what_cannot_go_on_is_said(trained: Any, tiny: tuple[str, ...], told: tuple[str, ...], message: str) -> None:
    project, whole = trained
    outcome = project.run("train", *tiny, *(item.replace("RUN", whole.run_id) for item in told))
    assert outcome.code == 1
    assert message in outcome.error
    assert "INFO epoch" not in outcome.stderr


def test_a_run_without_its_checkpoint_cannot_be_forked(trained: Any, tiny: tuple[str, ...], breaks_off: Any) -> None:
    project, _ = trained
    keep = "tracking.experiment=lost"
    project.run("train", *tiny, keep)
    (broken,) = project.runs("lost")
    for path in (project.folder / broken.data.tags["mlssm.folder"] / "checkpoints").iterdir():
        path.unlink()
    for verb in ("fork", "resume"):
        outcome = project.run("train", f"{verb}={broken.info.run_id}", keep)
        assert outcome.code == 1
        assert (
            f"run {broken.info.run_id} (FAILED) has no checkpoint: there is no checkpoints/last.ckpt" in outcome.error
        )


@pytest.mark.exhaustive
def test_a_search_prunes_sees_no_test_split_and_crowns_a_champion(
    trained: Any, tiny: tuple[str, ...], monkeypatch: Any, tmp_path: Path
) -> None:
    project, _ = trained
    evaluated = []
    real = single.evaluate

    def spied(experiment: Any, network: Any, config: Any, **more: Any) -> Any:
        evaluated.append(config.trial)
        return real(experiment, network, config, **more)

    monkeypatch.setattr(single, "evaluate", spied)
    fixed = [item for item in tiny if not item.startswith(("model.lag", "model.hidden"))]
    search = ("-m", "hydra/sweeper=optuna", "+search=convlstm", "hydra.sweeper.n_trials=4", "seeds=2")
    quick = ("hydra.sweeper.pruning.startup_trials=1", "hydra.sweeper.pruning.warmup_epochs=0")
    keep = ("tracking.experiment=search",)
    space = ("model.lag=1,2", "optimiser.learning_rate=0.01,0.000001", "hydra.sweeper.sampler=grid")
    narrow = ("model.hidden=choice([4])", "model.dropout=choice(0.1)", "model.input_dropout=choice(0.3)")
    fixed_space = (*narrow, "optimiser.weight_decay=choice(0.3)", "sampler=choice(natural)", "loss=choice(huber)")
    done = project.run("train", *search, *quick, *keep, *fixed, *space, *fixed_space)
    assert done.code == 0, done.stderr
    assert evaluated == [None, None]  # the champion's two seeds, no trial
    parent, *others = project.runs("search")
    trials = [run for run in others if "trial.number" in run.data.params]
    assert len(trials) == 4
    assert not [name for run in trials for name in run.data.metrics if name.startswith("test/")]
    assert {run.info.status for run in trials} == {"FINISHED", "KILLED"}
    assert all(("mlssm.pruned" in run.data.tags) == (run.info.status == "KILLED") for run in trials)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["mlssm.study"].startswith("convlstm-")
    (champion,) = (run for run in others if run.data.tags.get("mlssm.best_seed"))
    version = project.client.get_model_version_by_alias("mlssm", "champion")
    assert version.run_id == champion.info.run_id
    assert champion.data.params["model.lag"] == parent.data.tags["study.best_point"].split("model.lag=")[1][0]
    maps = ("dates=[2021-01-05]", f"output={tmp_path}", "run=models:/mlssm@champion", *keep)
    assert project.run("predict", *maps).code == 0
    again = project.run("train", *search, *quick, *keep, *fixed, *space, *fixed_space)
    assert again.code == 0, again.stderr
    assert "INFO epoch" not in again.stderr  # all trials are run, and the champion is there
    assert len(project.runs("search")) == 1 + len(others)
