"""The shipped experiments, and trainings with several seeds, on the smallest of areas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run

from mlssm import bundle
from mlssm.jobs import single

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]


class Kept:
    """What a project's store has of one experiment."""

    def __init__(self, project: Any, experiment: str) -> None:
        self.project, self.client, self.runs = project, project.client, project.runs(experiment)
        (self.top,) = (run for run in self.runs if "mlflow.parentRunId" not in run.data.tags)

    def children(self) -> list[Run]:
        return [run for run in self.runs if run is not self.top]

    def table(self, name: str, folder: Path) -> pd.DataFrame:
        return self.project.table(self.top, f"{name}.csv", folder)

    def scores(self, run: Run, folder: Path) -> pd.DataFrame:
        return self.project.table(run, "scores.csv", folder)

    def text(self, name: str, folder: Path) -> str:
        path = self.client.download_artifacts(self.top.info.run_id, name, str(folder))
        return Path(path).read_text(encoding="utf-8")


def _quick(tiny: tuple[str, ...], *without: str) -> list[str]:
    kept = [item for item in tiny if not item.startswith(("trainer.max_epochs", *without))]
    return [*kept, "trainer.max_epochs=1"]


@pytest.fixture(scope="module")
def paper(trained: Any, tiny: tuple[str, ...]) -> Any:
    project, _ = trained
    fixed = _quick(tiny, "model.lag")
    # a key on the command line takes the place of the experiment's values
    command = ("train", "+experiment=paper_table", "model.lag=1", *fixed, "tracking.experiment=paper")
    outcome = project.run(*command)
    assert outcome.code == 0, outcome.stderr
    return Kept(project, "paper"), outcome


def test_the_papers_table_is_trained_under_both_protocols(paper: Any) -> None:
    kept, _ = paper
    assert kept.top.info.run_name == "sweep paper_table"
    assert kept.top.info.status == "FINISHED"
    found = {(run.data.params["protocol"], run.data.params["sampler.name"]) for run in kept.children()}
    assert found == {(protocol, name) for protocol in ("held_out", "paper") for name in ("natural", "two_pass")}
    assert len(kept.children()) == 4
    splits = {run.data.params["protocol"]: run.data.params["split.name"] for run in kept.children()}
    assert splits == {"held_out": "by_date", "paper": "random_patch"}


def test_the_papers_numbers_stand_beside_those_of_the_runs(paper: Any, tmp_path: Path) -> None:
    kept, outcome = paper
    table = kept.table("paper_table", tmp_path).set_index(["protocol", "lag", "stage", "split", "score"])["ours"]
    names = table.index.unique("protocol")
    (own_name,) = (name for name in names if "own" in name)
    (other_name,) = (name for name in names if "own" not in name)
    for run in kept.children():
        scores = kept.scores(run, tmp_path).set_index(["model", "split", "distribution"])["rmse"]
        stage = "before" if run.data.params["sampler.name"] == "natural" else "after"
        own = run.data.params["protocol"] == "paper"
        distribution = "two_pass" if own and stage == "after" else "natural"
        for part in ("train", "val", "test"):
            found = table[own_name if own else other_name, 1, stage, part, "rmse"]
            assert found == pytest.approx(scores["ConvLSTM", part, distribution], rel=1e-6)
    report = kept.text("report.html", tmp_path)
    assert "0.2076" in report
    summary = kept.text("summary.txt", tmp_path).split("\n\n")
    assert all(paragraph.strip() in outcome.stderr for paragraph in summary)


def test_the_two_by_two_holds_the_scores_of_the_runs(paper: Any, tmp_path: Path) -> None:
    kept, _ = paper
    table = kept.table("two_by_two", tmp_path)
    for run in kept.children():
        rows = table[
            (table["split"] == run.data.params["split.name"]) & (table["training"] == run.data.params["sampler.name"])
        ]
        for test in ("natural", "balanced"):
            (row,) = rows[(rows["test"] == test) & (rows["lag"] == 1)].itertuples()
            assert row.r2 == pytest.approx(run.data.metrics[f"test/{test}/r2"], rel=1e-6)


def test_leakage_has_a_row_a_split_and_says_why_one_has_no_score(
    trained: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    project, _ = trained
    # one season cannot be split by season: that job fails, the others go on
    names = "split.name=random_patch,by_date,by_season"
    command = ("+experiment=leakage", names, *_quick(tiny, "split="), "tracking.experiment=leakage")
    done = project.run("train", *command, figures="made")
    assert done.code == 1, done.stderr
    assert "season" in done.error
    kept = Kept(project, "leakage")
    assert kept.top.info.status == "FAILED"
    table = kept.table("leakage", tmp_path).set_index("split")
    for run in (run for run in kept.children() if run.info.status == "FINISHED"):
        row = table.loc[run.data.params["split.name"]]
        assert row["r2"] == pytest.approx(run.data.metrics["test/natural/r2"], rel=1e-6)
        assert row["skill"] == pytest.approx(run.data.metrics["test/natural/skill"], rel=1e-6)
    assert {"random_patch", "by_date"} <= set(table.index[table["r2"].notna()])
    assert "leakage" in kept.text("report.html", tmp_path).lower()


def test_an_ablation_is_held_to_the_training_with_all_inputs_and_says_what_each_goes_by(
    trained: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    project, _ = trained
    why = (
        "evaluation.why.permutation=true",
        "evaluation.why.gradients=true",
        "evaluation.why.patches=20",
        "evaluation.why.steps=8",
    )
    command = ("+experiment=ablation", "features.without=[],[precipitation]", *_quick(tiny), *why)
    done = project.run("train", *command, "tracking.experiment=ablation", figures="made")
    assert done.code == 0, done.stderr
    kept = Kept(project, "ablation")
    table = kept.table("ablation", tmp_path)
    assert table["without"].tolist() == ["all inputs", "precipitation"]
    runs = {run.info.run_id: run for run in kept.children()}
    metrics = [runs[run_id].data.metrics["test/natural/rmse"] for run_id in table["run_id"]]
    assert table["rmse_difference"].iloc[1] == pytest.approx(metrics[1] - metrics[0], abs=1e-9)
    assert "precipitation (RMSE " in kept.text("summary.txt", tmp_path)
    assert kept.text("summary.txt", tmp_path).strip() in kept.top.data.tags["mlflow.note.content"]
    whole, without = (runs[run_id] for run_id in table["run_id"])
    worth, of_days = (project.table(whole, f"why_{name}.csv", tmp_path) for name in ("permutation", "gradients"))
    assert "precipitation" in set(worth["inputs"])
    assert set(of_days.loc[of_days["inputs"] == "precipitation", "days_before"]) == {0, 1}
    assert "precipitation" not in set(project.table(without, "why_permutation.csv", tmp_path)["inputs"])
    figures = {item.path for item in project.client.list_artifacts(whole.info.run_id, "figures")}
    assert {"figures/why_permutation.png", "figures/why_days.png", "figures/why_maps.png"} <= figures
    report = Path(project.client.download_artifacts(whole.info.run_id, "report.html", str(tmp_path))).read_text()
    assert "Contributions as maps" in report


@pytest.fixture(scope="module")
def seeds(trained: Any, tiny: tuple[str, ...]) -> Any:
    """Two seeds, broken off once the second one's network was trained, and gone on with."""
    project, _ = trained
    real, keep = single.evaluate, "tracking.experiment=seeds"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single, "evaluate", lambda *args, **more: real(*args, **more) if args[2].seed == 0 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            project.run("train", "seeds=2", *_quick(tiny), keep)
    broken = project.runs("seeds")
    outcome = project.run("train", f"resume={broken[0].info.run_id}", keep)
    assert outcome.code == 0, outcome.stderr
    return project, Kept(project, "seeds"), outcome, broken


def test_seeds_go_on_where_they_were_broken_off(seeds: Any) -> None:
    _, kept, outcome, broken = seeds
    assert [run.info.status for run in broken] == ["FAILED", "FINISHED", "FAILED"]
    assert "INFO epoch" not in outcome.stderr
    assert [run.info.run_id for run in kept.runs] == [run.info.run_id for run in broken]
    assert {run.info.status for run in kept.runs} == {"FINISHED"}


def test_each_seed_is_a_run_and_the_one_above_has_their_mean_and_spread(seeds: Any, tmp_path: Path) -> None:
    _, kept, _, _ = seeds
    members = sorted(kept.children(), key=lambda run: run.data.params["seed"])
    assert [run.info.run_name for run in members] == ["seed=0", "seed=1"]
    one, two = (run.data.metrics["test/natural/rmse"] for run in members)
    assert one != two
    assert kept.top.data.metrics["test/natural/rmse"] == pytest.approx((one + two) / 2)
    assert kept.top.data.metrics["test/natural/rmse_sd"] == pytest.approx(abs(one - two) / 2**0.5)
    spread = kept.table("spread", tmp_path)
    (row,) = spread[
        (spread["model"] == "ConvLSTM") & (spread["split"] == "test") & (spread["distribution"] == "natural")
    ].itertuples()
    assert (row.seeds, row.rmse) == (2, pytest.approx((one + two) / 2))
    parts = kept.table("seed_split", tmp_path)
    for part in parts.itertuples():
        squares = [run.data.metrics[f"{part.split}/natural/rmse"] ** 2 for run in members]
        assert part.mse == pytest.approx(sum(squares) / 2, rel=1e-6)
        assert part.variance > 0
    # all seeds' predictions together
    pooled = kept.table("scores", tmp_path)
    network = pooled[(pooled["kind"] == "network") & (pooled["split"] == "test")]
    (row,) = network[network["distribution"] == "natural"].itertuples()
    assert row.rmse == pytest.approx(((one**2 + two**2) / 2) ** 0.5, rel=1e-6)


def test_the_model_of_several_seeds_is_the_best_on_validation(seeds: Any, tmp_path: Path) -> None:
    project, kept, outcome, _ = seeds
    best = min(kept.children(), key=lambda run: run.data.metrics["val/natural/rmse"])
    assert kept.top.data.tags["mlssm.best_seed"] == best.data.params["seed"]
    assert outcome.run_id == kept.top.info.run_id
    loaded = []
    for run in (kept.top, best):
        folder = tmp_path / run.info.run_id
        folder.mkdir()
        loaded.append(bundle.load(Path(kept.client.download_artifacts(run.info.run_id, "model", str(folder)))))
    (_, first), (_, second) = loaded
    assert all((first[name] == second[name]).all() for name in first)
    # the newest training is the one above its seeds
    mapped = project.run("predict", "run=latest", "dates=2020-12-01", "output=maps_seeds", "tracking.experiment=seeds")
    assert mapped.code == 0, mapped.stderr


def test_every_sampler_loss_and_control_trains(trained: Any, tiny: tuple[str, ...]) -> None:
    project, _ = trained
    choices = (
        *("sampler=stratified", "loss=balanced_mse", "loss.learn_noise=true", "sampler.reweight=true"),
        "control=shuffle_space",
    )
    quick = (*_quick(tiny, "evaluation.controls"), "tracking.experiment=others")  # as shipped, with controls
    first = project.run("train", *choices, *quick, figures="made")
    assert first.code == 0, first.stderr
    second = project.run("train", "sampler=density", "loss=nll", "control=no_weather", *quick, figures="made")
    assert second.code == 0, second.stderr
    for outcome in (first, second):
        metrics = project.client.get_run(outcome.run_id).data.metrics
        assert 0 < metrics["test/natural/rmse"] < 1
        text = Path(project.client.download_artifacts(outcome.run_id, "scores.csv")).read_text(encoding="utf-8")
        assert "control" not in text  # what is taken away cannot be taken again
