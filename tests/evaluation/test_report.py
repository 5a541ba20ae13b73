import io
import math
from dataclasses import asdict, dataclass, field
from dataclasses import replace as copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.evaluation import picture
from mlssm.evaluation.breakdown import Breakdown, spatial_correlation
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.page import render
from mlssm.evaluation.run_figures import extent_maps, median_date
from mlssm.evaluation.run_page import run_page
from mlssm.evaluation.sums_file import SavedSums, load_sums
from mlssm.evaluation.table import as_csv
from mlssm.jobs.report import final_metrics, keep_verdict, report
from mlssm.jobs.seeds_report import mean_metrics
from mlssm.retrieval.track_variance import TrackVariance
from mlssm.scores.detection import detections
from mlssm.scores.epoch import EpochPoint
from mlssm.scores.sums import scores

NETWORK = "ConvLSTM"


@dataclass
class Notebook:
    """Keeps what a run would keep."""

    metrics: dict[str, float] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    files: dict[str, SavedSums] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def log_metrics(self, values: dict[str, float]) -> None:
        self.metrics |= values

    def log_image(self, png: bytes, path: str) -> None:
        self.figures[path] = png

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags

    def artifact_link(self, path: str) -> str:
        return f"#/{path}"

    def log_text(self, text: str, path: str) -> None:
        self.texts[path] = text

    def log_table(self, frame: pd.DataFrame, stem: str) -> None:
        self.tables[stem] = frame

    def log_file(self, path: Path) -> None:
        self.files[path.name] = load_sums(path)


def test_a_run_keeps_metrics_tables_sums_figures_and_a_report(
    experiment: Experiment,
    config: TrainConfig,
    network: nn.Module,
    evaluation: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run: Any = Notebook()
    caplog.set_level("INFO")
    drawn: list[str] = []
    monkeypatch.setattr(picture, "as_png", lambda figure: drawn.append(figure.get_suptitle()) or b"\x89PNG")
    report(run, experiment, config, network, evaluation, [EpochPoint(1, 0.1, 0.2), EpochPoint(2, 0.1, 0.3)])
    assert run.metrics == pytest.approx(final_metrics(evaluation), nan_ok=True)
    assert {f"figures/{name}.png" for name in ("loss", "density_val", "density_test", "maps_test")} <= set(run.figures)
    day = experiment.cube.local_days[median_date(evaluation)]
    assert len(drawn) == len(run.figures) == 11  # each once, for the artifact and the report
    assert any(str(day) in title for title in drawn)
    assert set(run.texts) == {"scores.csv", "scores.md", "report.html"}
    verdict = evaluation.verdict.sentence
    assert run.texts["report.html"].index(verdict) < run.texts["report.html"].index("Contents")
    assert run.texts["scores.md"].splitlines()[-1] == verdict
    assert run.tags["mlssm.verdict"] == verdict
    for caution in evaluation.verdict.cautions:
        assert caution in run.tags["mlssm.warnings"].splitlines()
    names = {"scores_by_date", "scores_by_bin", "scores_by_extent", "detection", "decomposition", "correlation"}
    names |= {"variance_parts", "worst_dates", "why_permutation"}
    assert set(run.tables) == names
    for begin in ("the squared error of ConvLSTM on the test split: ", "most of it: "):
        assert any(message.startswith(begin) for message in caplog.messages)
    for title in ("Where the error lies", "Why", "closed form" if experiment.prefit else "precipitation"):
        assert title in run.texts["report.html"]
    assert all(len(table) for table in run.tables.values())
    assert run.files["sums.npz"].digest == evaluation.splits["test"].digest


def test_the_description_has_verdict_short_table_and_link(evaluation: Evaluation, experiment: Experiment) -> None:
    run: Any = Notebook()
    keep_verdict(run, evaluation, experiment.cube)
    note = run.tags["mlflow.note.content"]
    assert note.startswith(f"**{evaluation.verdict.sentence}**")
    assert "[report.html](#/report.html)" in note
    rows = [line for line in note.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + sum(row.labels[1:] == ("test", "natural") for row in evaluation.rows)
    assert len(note) < 8000, "what MLflow keeps"


def test_the_metrics_are_those_that_runs_are_compared_by(evaluation: Evaluation) -> None:
    metrics = final_metrics(evaluation)
    scored = {row.labels: row for row in evaluation.rows if row.model == NETWORK}
    for split in ("val", "test"):
        for distribution in ("natural", "balanced", "two_pass"):
            values = asdict(scored[NETWORK, split, distribution].scores)
            n = values.pop("n")
            assert metrics[f"{split}/two_pass/n" if distribution == "two_pass" else f"{split}/n"] == n
            for name, value in values.items():
                assert metrics[f"{split}/{distribution}/{name}"] == value
        row = scored[NETWORK, split, "natural"]
        assert metrics[f"{split}/natural/skill"] == row.skill
        assert metrics[f"{split}/natural/r2_low"] == row.intervals.r2.low
        assert metrics[f"{split}/natural/r2_high"] == row.intervals.r2.high


def test_the_cap_counts_what_a_track_sees_alone_beside_that_of_speckle(
    evaluation: Evaluation, experiment: Experiment, config: TrainConfig
) -> None:
    """In metrics, table and report; the simulated tracks are too far apart in time to tell."""
    assert math.isnan(evaluation.track.value)
    counted, days = copy(evaluation, track=TrackVariance(0.004, 0.001, 12)), experiment.cube.local_days
    alone, both = final_metrics(evaluation), final_metrics(counted)
    speckle = alone["test/natural/r2_cap"]
    assert alone["test/natural/r2_cap_speckle"] == both["test/natural/r2_cap_speckle"] == speckle
    labels = evaluation.splits["test"].sums[NETWORK].sum((0, 1, 2))
    variance = labels[3] / labels[0] - (labels[1] / labels[0]) ** 2
    assert both["test/natural/r2_cap"] == pytest.approx(speckle - 0.004 / variance.item())
    assert both["test/balanced/r2_cap"] < alone["test/balanced/r2_cap"]
    table = pd.read_csv(io.StringIO(as_csv(counted.rows))).set_index(["model", "split", "distribution"])
    row = table.loc[(NETWORK, "test", "natural")]
    assert tuple(row[["r2_cap", "r2_cap_speckle"]]) == (both["test/natural/r2_cap"], speckle)
    for found, sentence in ((evaluation, "is of speckle alone: no two"), (counted, "counts what a track sees alone: ")):
        tables = Breakdown.of(found, experiment.cube, config.window)
        assert f"The cap of R2 {sentence}" in render(run_page(config, found, tables, days, (), ()))


def test_detection_and_correlations_are_metrics(evaluation: Evaluation) -> None:
    metrics = final_metrics(evaluation)
    for split in ("val", "test"):
        part = evaluation.splits[split]
        middle = detections(part.wet[NETWORK], (0.5, 0.6, 0.8))[1]
        assert metrics[f"{split}/detection/pod_0.6"] == pytest.approx(middle.pod, nan_ok=True)
        assert metrics[f"{split}/detection/csi_0.6"] == middle.csi
        assert metrics[f"{split}/temporal_corr"] == part.temporal[NETWORK].median
        assert metrics[f"{split}/spatial_corr"] == spatial_correlation(part.sums[NETWORK]).median


def test_metrics_are_few_and_the_models_own(evaluation: Evaluation) -> None:
    metrics = final_metrics(evaluation)
    assert len(metrics) < 75  # with those of the training and its cost a run stays below 80
    assert {name.partition("/")[0] for name in metrics} == {"val", "test"}
    assert not any("baseline" in name or "control" in name for name in metrics)
    several = mean_metrics([evaluation, evaluation])
    assert several.keys() > metrics.keys()
    assert len(several) < 80 + 14  # 14 are of the second pass, which is scored on demand alone
    assert several["test/natural/rmse_sd"] == 0


def test_the_date_that_is_shown_is_neither_the_best_nor_the_worst(evaluation: Evaluation) -> None:
    test = evaluation.splits["test"]
    errors = {time: scores(sums).rmse for time, sums in zip(test.times, test.sums[NETWORK], strict=True)}
    shown = errors[median_date(evaluation)]
    assert sum(error < shown for error in errors.values()) == len(errors) // 2


def test_a_date_without_labels_is_not_shown(evaluation: Evaluation) -> None:
    test = evaluation.splits["test"]
    sums = test.sums[NETWORK].clone()
    sums[1:] = 0
    one = copy(test, sums={**test.sums, NETWORK: sums})
    assert median_date(copy(evaluation, splits={"test": one})) == test.times[0]
    none = copy(test, sums={**test.sums, NETWORK: torch.zeros_like(sums)})
    with pytest.raises(ValueError, match="no test date"):
        median_date(copy(evaluation, splits={"test": none}))


def test_maps_of_a_date_show_labels_beside_predictions(experiment: Experiment, network: nn.Module) -> None:
    time = int(experiment.datasets["test"].times[0])
    (maps,) = extent_maps(experiment, network, time)
    assert maps.retrieved.shape == maps.predicted.shape == (20, 20)
    assert maps.pixel_m == 90
    everything = slice(None)
    labels = experiment.retrieval.labels(0, np.array([time]), everything, everything).ssm[0]
    np.testing.assert_array_equal(maps.retrieved, labels)
    assert np.isfinite(maps.predicted).mean() > 0.9
