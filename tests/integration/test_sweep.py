"""Sweeps: one run each, under a parent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

SWEEP = ("-m", "model.lag=1,2", "sampler=natural,two_pass")


@pytest.fixture(scope="module")
def sweep(trained: Any, tiny: tuple[str, ...]) -> Any:
    project, _ = trained
    fixed = [item for item in tiny if not item.startswith(("model.lag", "trainer.max_epochs"))]
    outcome = project.run("train", *SWEEP, *fixed, "trainer.max_epochs=1", "tracking.experiment=sweep")
    assert outcome.code == 0, outcome.stderr
    return project.client, outcome, project.runs("sweep")


def _folder(base: Path, run: Any) -> Path:
    folder = base / str(run.info.run_id)
    folder.mkdir()
    return folder


def test_each_combination_is_a_run_under_one_parent(sweep: Any) -> None:
    _, _, runs = sweep
    (parent,) = (run for run in runs if run.data.tags.get("mlssm.kind") == "sweep")
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    found = sorted((run.data.params["model.lag"], run.data.params["sampler.name"]) for run in children)
    assert found == [("1", "natural"), ("1", "two_pass"), ("2", "natural"), ("2", "two_pass")]
    names = {run.info.run_name for run in children}
    assert names == {"lag=1 natural", "lag=1 two_pass", "lag=2 natural", "lag=2 two_pass"}
    assert parent.info.run_name == "sweep lag=1,2 natural,two_pass"
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_the_parent_compares_its_children(sweep: Any, tmp_path: Path) -> None:
    client, _, runs = sweep
    (parent,) = (run for run in runs if run.data.tags.get("mlssm.kind") == "sweep")
    table = Path(client.download_artifacts(parent.info.run_id, "comparison.csv", str(tmp_path))).read_text()
    header, *rows = table.splitlines()
    assert {"run", "model.lag", "sampler.name", "val/natural/r2", "test/natural/rmse"} <= set(header.split(","))
    assert len(rows) == 4


def test_the_parent_says_which_children_differ_from_the_best_on_validation(sweep: Any, tmp_path: Path) -> None:
    client, outcome, runs = sweep
    (parent,) = (run for run in runs if run.data.tags.get("mlssm.kind") == "sweep")
    table = pd.read_csv(client.download_artifacts(parent.info.run_id, "differences.csv", str(tmp_path)))
    children = {run.info.run_id: run.data.metrics for run in runs if run is not parent}
    best = min(children, key=lambda run_id: children[run_id]["val/natural/rmse"])
    assert table["run_id"].iloc[0] == best
    for row in table.itertuples():
        assert row.rmse == pytest.approx(children[row.run_id]["test/natural/rmse"], rel=1e-6)
    others = table.iloc[1:]
    change = others["rmse"] - table["rmse"].iloc[0]
    assert others["rmse_difference"].to_numpy() == pytest.approx(change.to_numpy(), abs=1e-12)
    shown = (others["difference_low"] > 0) | (others["difference_high"] < 0)
    assert others["differs"].str.startswith("RMSE ").tolist() == shown.tolist()
    assert table["differs"].iloc[1] in outcome.stderr


def test_two_passes_draw_more_in_training_and_are_scored_on_the_same_pixels(sweep: Any, tmp_path: Path) -> None:
    client, outcome, runs = sweep
    drawn = [int(line.split("train ")[1].split()[0]) for line in outcome.stderr.splitlines() if "split: train" in line]
    assert len(drawn) == 4
    assert drawn[1] > drawn[0]
    children = [run for run in runs if "sampler.name" in run.data.params]
    for split in ("val", "test"):
        assert len({run.data.metrics[f"{split}/n"] for run in children}) == 1
    paths = (client.download_artifacts(run.info.run_id, "scores.csv", str(_folder(tmp_path, run))) for run in children)
    scores = pd.concat(pd.read_csv(path) for path in paths)
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
