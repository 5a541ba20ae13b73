from dataclasses import dataclass, field
from dataclasses import replace as copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import NETWORK, Evaluation
from mlssm.evaluation.figures import EpochPoint
from mlssm.evaluation.report import area_maps, final_metrics, median_date, report, scores_by_bin, scores_by_date
from mlssm.training.metrics import scores

NAMES = ("r2", "rmse", "mae", "corr", "bias", "r2_ceiling")


@dataclass
class Notebook:
    """Keeps what a run would keep."""

    metrics: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def log_metrics(self, values: dict[str, float]) -> None:
        self.metrics |= values

    def log_text(self, text: str, path: str) -> None:
        self.texts[path] = text

    def log_table(self, frame: pd.DataFrame, stem: str) -> None:
        self.tables[stem] = frame

    def log_figure(self, figure: Any, path: str) -> None:
        self.figures[path] = figure


def test_a_run_keeps_metrics_tables_and_figures(
    experiment: Experiment, network: nn.Module, evaluation: Evaluation
) -> None:
    run: Any = Notebook()
    report(run, experiment, network, evaluation, [EpochPoint(1, 0.1, 0.2), EpochPoint(2, 0.1, 0.3)])
    assert run.metrics == final_metrics(evaluation.rows)
    assert set(run.texts) == {"scores.csv", "scores.md"}
    assert set(run.tables) == {"scores_by_date", "scores_by_bin"}
    expected = {f"figures/{name}.png" for name in ("loss", "density_val", "density_test", "maps_test")}
    assert set(run.figures) == expected
    day = experiment.cube.local_days[median_date(evaluation)]
    assert str(day) in run.figures["figures/maps_test.png"].get_suptitle()


def test_metrics_are_the_table(evaluation: Evaluation) -> None:
    metrics = final_metrics(evaluation.rows)
    assert len(metrics) == 3 * 3 * (1 + 2 * len(NAMES))
    for row in evaluation.rows:
        prefix = {"ConvLSTM": "", "pixel mean": "baseline/pixel_mean/", "antecedent rain": "baseline/antecedent_rain/"}
        place = f"{prefix[row.model]}{row.split}"
        assert metrics[f"{place}/n"] == row.scores.n
        for name in NAMES:
            assert metrics[f"{place}/{row.distribution}/{name}"] == getattr(row.scores, name)


def test_scores_by_date_name_each_day_and_add_up(evaluation: Evaluation, experiment: Experiment) -> None:
    table = scores_by_date(evaluation, experiment.cube.local_days)
    test = table[(table["split"] == "test") & (table["model"] == NETWORK)]
    whole = scores(evaluation.splits["test"].sums[NETWORK])
    assert test["n"].sum() == whole.n
    assert np.average(test["bias"], weights=test["n"]) == pytest.approx(whole.bias)
    assert np.sqrt(np.average(test["rmse"] ** 2, weights=test["n"])) == pytest.approx(whole.rmse)
    days = experiment.cube.local_days[list(evaluation.splits["test"].times)]
    assert test["date"].tolist() == days.astype(str).tolist()
    assert set(table["model"]) == {NETWORK, "pixel mean", "antecedent rain"}


def test_scores_by_bin_go_from_dry_to_wet(evaluation: Evaluation) -> None:
    table = scores_by_bin(evaluation)
    val = table[(table["split"] == "val") & (table["model"] == NETWORK)]
    assert val["ssm_from"].tolist() == [0, 0.2, 0.4, 0.6, 0.8]
    assert val["ssm_to"].tolist() == [0.2, 0.4, 0.6, 0.8, 1]
    assert val["n"].sum() == scores(evaluation.splits["val"].sums[NETWORK]).n
    assert val["bias"].is_monotonic_decreasing, "a network that knows little is too wet where it is dry"


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
    assert median_date(Evaluation({**evaluation.splits, "test": one})) == test.times[0]
    none = copy(test, sums={**test.sums, NETWORK: torch.zeros_like(sums)})
    with pytest.raises(ValueError, match="no test date"):
        median_date(Evaluation({**evaluation.splits, "test": none}))


def test_maps_of_a_date_show_labels_beside_predictions(experiment: Experiment, network: nn.Module) -> None:
    time = int(experiment.datasets["test"].times[0])
    (maps,) = area_maps(experiment, network, time)
    assert maps.retrieved.shape == maps.predicted.shape == (20, 20)
    assert maps.pixel_m == 90
    everything = slice(None)
    labels = experiment.retrieval.labels(0, np.array([time]), everything, everything).ssm[0]
    np.testing.assert_array_equal(maps.retrieved, labels)
    assert np.isfinite(maps.predicted).mean() > 0.9
