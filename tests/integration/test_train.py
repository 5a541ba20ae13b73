"""Training on the simulated watershed, as a newcomer does it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xarray as xr

from mlssm import bundle
from mlssm.tracking.charts import COMPARED, FURTHER

pytestmark = pytest.mark.slow

SCORES = ("r2", "rmse", "mae", "corr", "bias", "r2_cap")
MODELS = (
    *("ConvLSTM", "ConvLSTM, no weather", "ConvLSTM, shuffled space"),
    *("pixel mean", "climatology", "persistence", "antecedent rain", "ridge", "gradient boosting"),
)
PLACES = ("Report: ", "See it with: ", "Its page: ", "Map a day: ")
TABLES = ("scores", "scores_by_date", "scores_by_bin", "scores_by_extent", "detection", "decomposition", "correlation")
TABLES += ("variance_parts", "worst_dates", "why_permutation")
FIGURES = (
    *("skill", "maps_test", "density_test", "density_val", "loss", "by_date", "by_bin", "detection", "decomposition"),
    *("temporal_correlation", "calibration", "why_permutation"),
)


def _artifacts(project: Any, run_id: str, folder: str = "") -> set[str]:
    return {item.path for item in project.client.list_artifacts(run_id, folder)}


def test_the_verdict_comes_first_and_then_one_short_table_that_fits_the_terminal(trained: Any) -> None:
    project, outcome = trained
    verdict, *lines = outcome.stdout.splitlines()
    tags = project.client.get_run(outcome.run_id).data.tags
    assert verdict.startswith("ConvLSTM is ")
    assert verdict == tags["mlssm.verdict"]
    cautions = [line.removeprefix("Beware: ") for line in lines if line.startswith("Beware: ")]
    assert set(cautions) <= set(tags["mlssm.warnings"].splitlines())
    table = lines[len(cautions) :]
    assert table[0].split() == "model n R2 95 % cap skill RMSE MAE corr bias".split()
    assert table[2].rstrip() == "test, natural"
    for model in MODELS:
        assert sum(line.startswith(f" {model} ") for line in table) == 1, model
    assert max(len(line) for line in table if not line.startswith(PLACES)) <= 100
    assert "balanced" not in outcome.stdout


def test_report_run_page_and_the_command_for_a_map_are_printed_last(trained: Any) -> None:
    project, outcome = trained
    legend, report, run, command, page, predict = outcome.stdout.splitlines()[-6:]
    assert legend.startswith("cap: ")
    text = (project.folder / report.removeprefix("Report: ")).read_text(encoding="utf-8")
    assert outcome.stdout.splitlines()[0] in text
    assert run == f"MLflow run {outcome.run_id}"
    assert command == "See it with: mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db"
    assert page == f"Its page: http://127.0.0.1:5000/#/experiments/1/runs/{outcome.run_id}"
    assert predict.startswith(f"Map a day: python predict.py run={outcome.run_id} dates=")
    assert (project.folder / "mlruns" / "mlflow.db").is_file()


def test_the_command_that_is_printed_maps_the_day(trained: Any) -> None:
    project, outcome = trained
    *_, line = outcome.stdout.splitlines()
    words = shlex.split(line.removeprefix("Map a day: "))
    assert words[:2] == ["python", "predict.py"]
    done = project.run("predict", *words[2:], "output=as_printed")
    assert done.code == 0, done.stderr
    (day,) = (word.removeprefix("dates=") for word in words if word.startswith("dates="))
    assert (project.folder / "as_printed" / f"ssm_{day.replace('-', '')}.tif").is_file()


def test_nothing_but_log_lines_goes_to_stderr(trained: Any) -> None:
    _, outcome = trained
    for line in outcome.stderr.splitlines():
        assert line.split()[1] in ("INFO", "WARNING"), line
    assert outcome.stderr.count("INFO epoch ") == 2


def test_the_run_keeps_parameters_revision_and_digests(trained: Any, tmp_path: Path) -> None:
    project, outcome = trained
    run = project.client.get_run(outcome.run_id)
    assert run.info.status == "FINISHED"
    expected = {
        "model.lag": "2",
        "split.name": "by_date",
        "datamodule.simulation.size": "60",
        "retrieval.dry_percentile": "5",
    }
    assert expected.items() <= run.data.params.items()
    assert {"git.revision", "digest.cube", "mlssm.folder"} <= run.data.tags.keys()
    text = project.client.download_artifacts(outcome.run_id, "data_digests.json", str(tmp_path))
    digests = json.loads(Path(text).read_text())
    images = {f"sentinel1/{path.name}" for path in (project.folder / "data/simulated/sentinel1").iterdir()}
    assert {"dem/dem.tif", "weather/SIM00000001.csv"} | images <= digests.keys()
    found = {(item.dataset.name, item.tags[0].value) for item in run.inputs.dataset_inputs}
    assert found == {("simulated", split) for split in ("train", "val", "test")}


def test_the_run_keeps_scores_of_validation_and_test(trained: Any) -> None:
    project, outcome = trained
    metrics = project.client.get_run(outcome.run_id).data.metrics
    for split in ("val", "test"):
        assert metrics[f"{split}/n"] > 1000
        for distribution in ("natural", "balanced"):
            assert {f"{split}/{distribution}/{score}" for score in SCORES} <= metrics.keys()
    own = [name for name in metrics if not name.startswith("system/")]
    assert len(own) < 80, sorted(own)
    assert {*COMPARED, *FURTHER} <= metrics.keys(), "what the prepared charts show"
    assert metrics["seconds"] > 0
    assert metrics["peak_memory_gb"] > 0.1


def test_the_reasons_of_masks_are_kept_beside_the_cube(trained: Any) -> None:
    project, outcome = trained
    (line,) = (line for line in outcome.stderr.splitlines() if "has no label: " in line)
    path = project.folder / line.partition("has no label: ")[2]
    reasons = xr.open_zarr(path, consolidated=False)["reasons"]
    assert path.parent.suffix == ".reasons"
    assert reasons.shape[1:] == (20, 20)  # 60 x 60 pixels in blocks of 3 x 3
    assert reasons.attrs["flag_meanings"].startswith("not_measured")
    assert 0 < float((reasons == 0).mean()) < 1


def test_models_are_scored_on_the_same_pixels(trained: Any, tmp_path: Path) -> None:
    project, outcome = trained
    scores = pd.read_csv(project.client.download_artifacts(outcome.run_id, "scores.csv", str(tmp_path)))
    assert set(scores["split"]) == {"train", "val", "test"}
    assert set(scores["model"]) == {*MODELS, "truth"}
    for _, rows in scores.groupby(["split", "distribution"]):
        assert rows["n"].nunique() == rows["r2_cap"].nunique() == 1


def test_the_best_epoch_is_the_one_that_is_scored(trained: Any) -> None:
    project, outcome = trained
    history = project.client.get_metric_history(outcome.run_id, "val/natural/rmse")
    # the best epoch's score once more at the end, unless it is that of the last epoch already
    assert len({item.step for item in history}) == 2
    final = project.client.get_run(outcome.run_id).data.metrics["val/natural/rmse"]
    assert final == pytest.approx(min(item.value for item in history), rel=1e-6)


def test_the_run_keeps_figures_tables_and_a_bundle_that_loads(trained: Any, tmp_path: Path) -> None:
    project, outcome = trained
    tables = {f"{name}.csv" for name in TABLES}
    top = {"report.html", "sums.npz", "config.yaml", "requirements.txt", "figures", "model"} | tables
    assert top <= _artifacts(project, outcome.run_id)
    figures = {f"figures/{name}.png" for name in FIGURES}
    assert _artifacts(project, outcome.run_id, "figures") == figures
    folder = project.client.download_artifacts(outcome.run_id, "model", str(tmp_path))
    model, weights = bundle.load(Path(folder))
    assert model.pixel_m == 90
    assert model.features.dynamic[:2] == ("precipitation", "evapotranspiration")
    assert "head.weight" in weights


@pytest.fixture(scope="module")
def again(trained: Any, tiny: tuple[str, ...], thorough: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """The same training once more, by a process of its own, after the truth was deleted."""
    project, _ = trained
    shutil.rmtree(project.folder / "data" / "simulated" / "truth.zarr")
    script = Path(__file__).resolve().parents[2] / "train.py"
    done = subprocess.run(
        [sys.executable, str(script), *tiny, *thorough], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_same_training_gives_the_same_numbers_to_the_last_bit(trained: Any, again: Any) -> None:
    project, first = trained
    (run_id,) = (line.split()[-1] for line in again.stdout.splitlines() if line.startswith("MLflow run "))
    one, two = (project.client.get_run(each) for each in (first.run_id, run_id))
    assert first.run_id != run_id
    numbers, again_numbers = (project.numbers(run) for run in (one, two))
    assert len(numbers) > 50
    assert numbers == again_numbers
    assert one.data.params == two.data.params


def test_nothing_but_evaluation_of_the_simulation_needs_the_truth(trained: Any, again: Any) -> None:
    assert not (trained[0].folder / "data" / "simulated" / "truth.zarr").exists()
    assert again.returncode == 0


def test_the_second_training_finds_area_and_cube(again: Any) -> None:
    assert "up to date" in again.stderr
    assert "nothing to prepare" in again.stderr


def test_a_process_of_its_own_prints_the_table_and_no_warning(trained: Any, again: Any) -> None:
    *table, _, run, command, _, _ = again.stdout.splitlines()
    first = [line for line in trained[1].stdout.splitlines()[:-5] if not line.startswith(" truth ")]
    assert table == first, "verdict and table are those of the first training, but for the truth, which is away"
    assert run.startswith("MLflow run ")
    assert command.startswith("See it with: ")
    assert "Warning" not in again.stderr
    assert all(line.split()[1] in ("INFO", "WARNING") for line in again.stderr.splitlines()), again.stderr


@pytest.mark.exhaustive
def test_torchrun_keeps_one_run(trained: Any, tiny: tuple[str, ...]) -> None:
    project, _ = trained
    script = Path(__file__).with_name("without_figures.py")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    two = ("trainer=ddp", "trainer.devices=2", "trainer.max_epochs=1", "tracking.experiment=torchrun")
    command = [sys.executable, *torchrun, str(script), *tiny, *two, "trainer.accelerator=cpu"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("MLflow run ") == 1
    (run,) = project.runs("torchrun")
    assert run.info.status == "FINISHED"
