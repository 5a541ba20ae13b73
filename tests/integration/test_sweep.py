"""Sweeps: one run each, under a parent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run

from mlssm.errors import DataError
from mlssm.jobs import single
from mlssm.jobs import train as job

pytestmark = pytest.mark.slow

SWEEP = ("-m", "model.lag=1,2", "sampler=natural,two_pass")


@dataclass(frozen=True)
class Sweep:
    """A sweep that was broken off and resumed: two jobs had failed, one with a checkpoint and one without."""

    project: Any
    broken: Any
    before: list[Run]
    resumed: Any
    after: list[Run]

    @property
    def parent(self) -> Run:
        (parent,) = (run for run in self.after if run.data.tags.get("mlssm.kind") == "sweep")
        return parent

    @property
    def children(self) -> list[Run]:
        """Those that count."""
        return [run for run in self.after[1:] if "mlssm.superseded_by" not in run.data.tags]


def _fails_at(patch: pytest.MonkeyPatch, sampler: str, module: Any, step: str) -> None:
    """Let a step fail in the job of lag 2 and a sampler."""
    real = getattr(module, step)

    def fails(*arguments: Any, **more: Any) -> Any:
        config = next(item for item in arguments if hasattr(item, "model"))
        if (config.window.lag, config.sampler.name) == (2, sampler):
            raise DataError(f"{sampler}: the disk is full")
        return real(*arguments, **more)

    patch.setattr(module, step, fails)


@pytest.fixture(scope="module")
def sweep(trained: Any, tiny: tuple[str, ...]) -> Sweep:
    project, _ = trained
    fixed = [item for item in tiny if not item.startswith(("model.lag", "trainer.max_epochs"))]
    command = ("train", *SWEEP, *fixed, "trainer.max_epochs=1", "tracking.experiment=sweep")
    with pytest.MonkeyPatch.context() as patch:
        _fails_at(patch, "natural", single, "evaluate")
        _fails_at(patch, "two_pass", job, "assemble")
        broken = project.run(*command)
        assert broken.code == 1
    before = project.runs("sweep")
    resumed = project.run(*command, "sweep.resume=true")
    assert resumed.code == 0, resumed.stderr
    return Sweep(project, broken, before, resumed, project.runs("sweep"))


def test_a_sweep_that_is_resumed_runs_what_is_missing(sweep: Sweep) -> None:
    before, after = sweep.before, sweep.after
    assert [run.info.status for run in before] == ["FAILED", "FINISHED", "FINISHED", "FAILED", "FAILED"]
    assert sweep.resumed.stderr.count("INFO epoch ") == 1  # of the one without a checkpoint alone
    assert [run.info.run_id for run in after[:5]] == [run.info.run_id for run in before]
    assert [run.info.status for run in after] == [*["FINISHED"] * 4, "FAILED", "FINISHED"]
    assert after[4].data.tags["mlssm.superseded_by"] == after[5].info.run_id
    assert sweep.parent.data.tags["mlssm.best_run"] in {run.info.run_id for run in sweep.children}
    assert not [tag for tag in sweep.parent.data.tags if tag.startswith("failed.")]
    figures = {item.path for item in sweep.project.client.list_artifacts(sweep.parent.info.run_id, "figures")}
    assert "figures/lags.png" in figures


def test_the_parent_has_all_scores_by_lag_beside_the_best_baseline(sweep: Sweep, tmp_path: Path) -> None:
    table = sweep.project.table(sweep.parent, "lags.csv", tmp_path)
    assert len(table) == 4 * 2 * 2  # runs x (test, val) x (network, best baseline)
    metrics = {
        (run.data.params["model.lag"], run.data.params["sampler.name"]): run.data.metrics for run in sweep.children
    }
    for row in table[table["kind"] == "network"].itertuples():
        found = metrics[f"{row.lag:g}", row.series]
        for score in ("r2", "rmse", "mae", "corr", "bias"):
            assert getattr(row, score) == pytest.approx(found[f"{row.split}/natural/{score}"], rel=1e-9)
    test = table[table["split"] == "test"].groupby("kind")["rmse"].first()
    skill = table.loc[(table["split"] == "test") & (table["kind"] == "network"), "skill"].iloc[0]
    assert skill == pytest.approx(1 - (test["network"] / test["baseline"]) ** 2)


def test_the_description_has_the_verdict_of_the_best_and_the_scores_by_lag(sweep: Sweep) -> None:
    note = sweep.parent.data.tags["mlflow.note.content"]
    best = next(run for run in sweep.children if run.info.run_id == sweep.parent.data.tags["mlssm.best_run"])
    assert best.data.tags["mlssm.verdict"] in note
    lags = [line for line in note.partition("Test scores by lag")[2].splitlines() if line.startswith("|")]
    assert re.sub(" +", " ", lags[0]) == "| lag | model | R2 | RMSE | MAE | corr | bias | skill |"
    assert sum("best baseline: " in line for line in lags) == 2


def test_each_combination_is_a_run_under_one_parent(sweep: Sweep) -> None:
    parent, children = sweep.parent, sweep.children
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    found = sorted((run.data.params["model.lag"], run.data.params["sampler.name"]) for run in children)
    assert found == [("1", "natural"), ("1", "two_pass"), ("2", "natural"), ("2", "two_pass")]
    names = {run.info.run_name for run in children}
    assert names == {"lag=1 natural", "lag=1 two_pass", "lag=2 natural", "lag=2 two_pass"}
    assert parent.info.run_name == "sweep lag=1,2 natural,two_pass"
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}


def test_the_parent_compares_its_children(sweep: Sweep, tmp_path: Path) -> None:
    table = sweep.project.table(sweep.parent, "comparison.csv", tmp_path)
    assert {"run", "model.lag", "sampler.name", "val/natural/r2", "test/natural/rmse"} <= set(table.columns)
    assert len(table) == 4


def test_the_parent_says_which_children_differ_from_the_best_on_validation(sweep: Sweep, tmp_path: Path) -> None:
    table = sweep.project.table(sweep.parent, "differences.csv", tmp_path)
    children = {run.info.run_id: run.data.metrics for run in sweep.children}
    best = min(children, key=lambda run_id: children[run_id]["val/natural/rmse"])
    assert table["run_id"].iloc[0] == best
    assert set(table["run_id"]) == children.keys()
    for row in table.itertuples():
        assert row.rmse == pytest.approx(children[row.run_id]["test/natural/rmse"], rel=1e-6)
    others = table.iloc[1:]
    change = others["rmse"] - table["rmse"].iloc[0]
    assert others["rmse_difference"].to_numpy() == pytest.approx(change.to_numpy(), abs=1e-12)
    shown = (others["difference_low"] > 0) | (others["difference_high"] < 0)
    assert others["differs"].str.startswith("RMSE ").tolist() == shown.tolist()
    assert table["differs"].iloc[1] in sweep.resumed.stderr


def test_two_passes_draw_more_in_training_and_are_scored_on_the_same_pixels(sweep: Sweep, tmp_path: Path) -> None:
    # of both lags: the jobs that failed are assembled when they are resumed
    for outcome, jobs in ((sweep.broken, 3), (sweep.resumed, 2)):
        lines = [line for line in outcome.stderr.splitlines() if "split: train" in line]
        natural, two_pass, *more = [int(line.split("train ")[1].split()[0]) for line in lines]
        assert two_pass > natural
        assert len(more) == jobs - 2
    for split in ("val", "test"):
        assert len({run.data.metrics[f"{split}/n"] for run in sweep.children}) == 1
    scores = pd.concat(sweep.project.table(run, "scores.csv", tmp_path) for run in sweep.children)
    mean = scores[(scores["model"] == "pixel mean") & (scores["distribution"] == "natural")]
    assert (mean.groupby("split")["r2"].nunique() == 1).all()
    assert (mean.groupby("split")["r2"].size() == 4).all()


def test_a_failed_job_is_told_and_marks_the_parent(trained: Any, tiny: tuple[str, ...]) -> None:
    project, _ = trained
    fixed = [item for item in tiny if not item.startswith("retrieval.multilook_m")]
    outcome = project.run("train", "-m", "retrieval.multilook_m=100,110", *fixed, "tracking.experiment=failed")
    assert outcome.code == 1
    assert "multilook_m=1" in outcome.error
    assert "Traceback" not in outcome.stderr


@pytest.mark.exhaustive
def test_a_job_of_a_sweep_trains_one_model_in_two_processes_and_keeps_one_run(
    trained: Any, tiny: tuple[str, ...]
) -> None:
    project, alone = trained
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=1")
    outcome = project.run("train", "-m", "seed=1", *tiny, *two, "tracking.experiment=sweep_two")
    assert outcome.code == 0, outcome.stderr
    runs = project.runs("sweep_two")
    assert len(runs) == 2
    (child,) = (run for run in runs if run.data.tags.get("mlssm.kind") != "sweep")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert child.data.params["seed"] == "1"
    # every validation patch was scored once in training, as it is by the one process that evaluates
    counts = {item.value for item in project.client.get_metric_history(child.info.run_id, "val/n")}
    assert counts == {project.client.get_run(alone.run_id).data.metrics["val/n"]}


@pytest.mark.exhaustive
def test_submitit_runs_a_job_of_a_sweep_under_its_parent(trained: Any, tiny: tuple[str, ...]) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="hydra-submitit-launcher is not installed")
    project, _ = trained
    local = ("hydra/launcher=submitit_local", "trainer.max_epochs=1", "tracking.experiment=submitit")
    done = project.run("train", "-m", "seed=1", *tiny, *local)
    assert done.code == 0, done.stderr
    runs = project.runs("submitit")
    (parent,) = (run for run in runs if run.data.tags.get("mlssm.kind") == "sweep")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert [run.data.tags["mlflow.parentRunId"] for run in runs if run is not parent] == [parent.info.run_id]
