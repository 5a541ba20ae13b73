"""Choosing by held-out training seasons, and testing on every season in turn, on the smallest of areas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.evaluation.baselines import boosting
from mlssm.evaluation.evaluation_file import FILE
from mlssm.evaluation.sums_file import load_sums
from mlssm.jobs import single
from mlssm.scores.sums import scores
from mlssm.training import train_network as training

pytestmark = pytest.mark.slow

THREE = ("datamodule.simulation.seasons=3", "datamodule.simulation.revisit_days=40", "datamodule.root=data/three")
THREE += ("evaluation.controls=[]", "model.family=mlssm.models.convlstm.ConvLSTMSettings")


def _told(tiny: tuple[str, ...], *more: str) -> tuple[str, ...]:
    left_out = ("split=", *(item.partition("=")[0] + "=" for item in (*THREE, *more)))
    return (*(item for item in tiny if not item.startswith(left_out)), *THREE, *more)


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Most of the time of so small trainings is the boosting's, whose skill does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "TREES", 2)
        yield


class Killed(RuntimeError):
    """Stands for the end of a process."""


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the training numbered `at` (from 1) end after its network is trained, before anything is made of it."""

    def at(number: int) -> pytest.MonkeyPatch:
        real, count = training._fit, [0]

        def fit(*told: Any) -> None:
            real(*told)
            count[0] += 1
            if count[0] == number:
                raise Killed

        monkeypatch.setattr(training, "_fit", fit)
        return monkeypatch

    return at


@pytest.fixture(scope="module")
def inner(trained: Any, tiny: tuple[str, ...]) -> Any:
    """A training whose epochs are chosen by two held-out training seasons."""
    project, _ = trained
    told = _told(tiny, "split=by_season", "split.inner=seasons")
    done = project.run("train", *told, "tracking.experiment=inner")
    assert done.code == 0, done.stderr
    (run,) = project.runs("inner")
    return project, done, run, told


@pytest.mark.exhaustive
def test_the_runs_validation_scores_are_those_of_all_held_out_training_seasons(inner: Any, tmp_path: Path) -> None:
    project, done, run, _ = inner
    assert "inner fold 2 of 2: season 2021" in done.stderr
    folds = project.table(run, "inner_folds.csv", tmp_path)
    assert folds["season"].tolist() == [2020, 2021]
    dates = project.table(run, "scores_by_date.csv", tmp_path)
    seasons = {split: set(rows["date"].str[:4]) for split, rows in dates.groupby("split")}
    assert seasons["val"] == seasons["train"]
    network = dates[(dates["model"] == "ConvLSTM") & (dates["split"] == "val")]
    rmse = np.sqrt(np.average(network["rmse"] ** 2, weights=network["n"]))
    assert run.data.metrics["val/natural/rmse"] == pytest.approx(rmse, rel=1e-9)
    low, high = run.data.metrics["test/natural/skill_low"], run.data.metrics["test/natural/skill_high"]
    assert low <= run.data.metrics["test/natural/skill"] <= high
    assert run.data.metrics["inner/epochs"] == folds["best_epoch"].min()  # the lower of two
    course = project.client.get_metric_history(run.info.run_id, "train/loss")
    assert len(course) == run.data.metrics["inner/epochs"]
    mapped = project.run(
        "predict", f"run={run.info.run_id}", "dates=2020-12-01", f"output={tmp_path}", "tracking.experiment=inner"
    )
    assert mapped.code == 0, mapped.stderr


@pytest.mark.exhaustive
def test_a_training_that_dies_twice_goes_on_at_its_folds_to_the_same_bits(inner: Any, dies: Any) -> None:
    """Of three trainings it dies in the second one, then, gone on with, in the refit."""
    project, _, whole, told = inner
    keep = "tracking.experiment=inner_again"
    patch = dies(2)
    with pytest.raises(Killed):
        project.run("train", *told, keep)
    (broken,) = project.runs("inner_again")
    patch.undo()
    dies(3)
    with pytest.raises(Killed):
        project.run("train", f"resume={broken.info.run_id}", keep)
    patch.undo()
    done = project.run("train", f"resume={broken.info.run_id}", keep)
    assert done.code == 0, done.stderr
    assert "ended before its first step" not in done.stderr
    assert "INFO epoch " not in done.stderr  # each killed training had come to its last epoch
    (run,) = project.runs("inner_again")
    assert (run.info.run_id, run.info.status) == (broken.info.run_id, "FINISHED")
    assert project.numbers(run) == project.numbers(whole)


@pytest.fixture(scope="module")
def each(trained: Any, tiny: tuple[str, ...]) -> Any:
    """Every season tested on in turn, with two seeds, broken off in the second season and gone on with."""
    project, _ = trained
    keep = "tracking.experiment=each"
    told = _told(tiny, "split=leave_one_season_out", "split.inner=none", "trainer.max_epochs=1", "seeds=2", keep)
    real = single.evaluate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single, "evaluate", lambda *a, **more: real(*a, **more) if a[2].split.test == (2020,) else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            project.run("train", *told)
    top = next(run for run in project.runs("each") if "mlflow.parentRunId" not in run.data.tags)
    done = project.run("train", f"resume={top.info.run_id}", keep)
    assert done.code == 0, done.stderr
    return project, done, project.runs("each")


def test_each_season_is_a_run_and_the_one_above_has_the_pixels_of_all(each: Any, tmp_path: Path) -> None:
    project, done, runs = each
    (top,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    seasons = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == top.info.run_id]
    assert [run.info.run_name for run in seasons] == ["season=2020", "season=2021", "season=2022"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert (done.run_id, len(runs)) == (top.info.run_id, 1 + 3 + 6)
    assert f"season 2020: done already, run {seasons[0].info.run_id}" in done.stderr
    table = project.table(top, "seasons.csv", tmp_path)
    assert table["season"].tolist() == [2020, 2021, 2022]
    assert table["run_id"].tolist() == [run.info.run_id for run in seasons]
    n = [run.data.metrics["test/n"] for run in seasons]
    assert table["n"].tolist() == n
    assert top.data.metrics["test/n"] == sum(n)
    squares = [run.data.metrics["test/natural/rmse"] ** 2 for run in seasons]
    assert top.data.metrics["test/natural/rmse"] ** 2 == pytest.approx(np.average(squares, weights=n), rel=0.02)
    assert {"val/natural/rmse_sd", "test/natural/r2_low", "test/natural/skill"} <= set(top.data.metrics)


def test_the_pooled_sums_are_those_of_the_seasons_and_seeds(each: Any, tmp_path: Path) -> None:
    project, _, runs = each
    client = project.client
    (top,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    sums = {}
    for run in runs:
        place = tmp_path / run.info.run_id
        place.mkdir()
        sums[run.info.run_id] = load_sums(Path(client.download_artifacts(run.info.run_id, "sums.npz", str(place))))
    seeds = [run.info.run_id for run in runs if run.data.tags["mlssm.kind"] == "seed"]
    whole = sums[top.info.run_id]
    assert list(whole.dates) == sorted(date for run in seeds for date in sums[run].dates)[::2]
    total = sum(sums[run].sums["ConvLSTM"].sum((0, 1)) for run in seeds) / 2
    assert np.allclose(whole.sums["ConvLSTM"].sum((0, 1)), total, rtol=1e-12)
    found = project.table(top, "scores.csv", tmp_path).set_index(["model", "split", "distribution"])
    row = found.loc[("ConvLSTM", "test", "natural")]
    assert row["r2"] == pytest.approx(scores(whole.sums["ConvLSTM"]).r2)
    assert row["r2_low"] < row["r2"] < row["r2_high"]
    for name in (FILE, "scores_by_date.csv"):
        client.download_artifacts(seeds[0], name, str(tmp_path))
    mapped = project.run("predict", f"run={top.info.run_id}", "dates=2020-12-01", "tracking.experiment=each")
    assert "tests on every season in turn and has no model; name the run of one of its seasons" in mapped.error
    spread = project.table(top, "spread.csv", tmp_path)
    assert set(spread["seeds"]) == {2}
    page = Path(client.download_artifacts(top.info.run_id, "report.html", str(tmp_path))).read_text(encoding="utf-8")
    assert "Season by season" in page


def test_too_few_seasons_are_counted_before_any_is_trained(trained: Any, tiny: tuple[str, ...]) -> None:
    project, _ = trained
    told = [item for item in tiny if not item.startswith("split=")]
    keep = "tracking.experiment=too_few"
    one = project.run("train", *told, "split=leave_one_season_out", keep)
    assert "needs 3 seasons, one for test and two to choose by in turn, and there is 1 (2020)" in one.error
    inner = project.run("train", *told, "split=by_season", "split.inner=seasons", keep)
    assert "needs 2 of them, and there are none beside test 2020; set split.inner=none" in inner.error
