from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr

from mlssm.data.assemble import Experiment
from mlssm.evaluation.breakdown import (
    correlation_table,
    decomposition_table,
    detection_table,
    scores_by_bin,
    scores_by_date,
    scores_by_extent,
    spatial_correlation,
)
from mlssm.evaluation.evaluate import CONTROLS, Evaluation
from mlssm.scores.sums import pixel_sums, scores

NETWORK = "ConvLSTM"
CONTROLLED = {name: f"{NETWORK}, {words}" for name, words in CONTROLS.items()}

MODELS = [NETWORK, *CONTROLLED.values(), "pixel mean", "climatology", "persistence", "antecedent rain", "ridge"]


def _rows(table: pd.DataFrame, split: str = "test", model: str = NETWORK) -> pd.DataFrame:
    return table[(table["split"] == split) & (table["model"] == model)]


def test_scores_by_date_name_each_day_and_add_up(evaluation: Evaluation, experiment: Experiment) -> None:
    table = scores_by_date(evaluation, experiment.cube.local_days)
    test = _rows(table)
    whole = scores(evaluation.splits["test"].sums[NETWORK])
    assert test["n"].sum() == whole.n
    assert np.average(test["bias"], weights=test["n"]) == pytest.approx(whole.bias)
    assert np.sqrt(np.average(test["rmse"] ** 2, weights=test["n"])) == pytest.approx(whole.rmse)
    np.testing.assert_allclose(test["predicted"] - test["observed"], test["bias"], atol=1e-12)
    days = experiment.cube.local_days[list(evaluation.splits["test"].times)]
    assert test["date"].tolist() == days.astype(str).tolist()
    assert set(MODELS) < set(table["model"])


def test_one_extent_has_the_scores_of_all(evaluation: Evaluation) -> None:
    table = _rows(scores_by_extent(evaluation), "val")
    whole = scores(evaluation.splits["val"].sums[NETWORK])
    assert table["extent"].tolist() == [1]
    assert table[["n", "r2", "corr"]].to_numpy()[0] == pytest.approx([whole.n, whole.r2, whole.corr])


def test_scores_by_bin_go_from_dry_to_wet(evaluation: Evaluation) -> None:
    table = scores_by_bin(evaluation)
    val = _rows(table, "val")
    assert list(table.columns) == ["split", "ssm_from", "ssm_to", "model", "n", "bias", "rmse", "mae", "reason"]
    assert val["ssm_from"].tolist() == [0, 0.2, 0.4, 0.6, 0.8]
    assert val["ssm_to"].tolist() == [0.2, 0.4, 0.6, 0.8, 1]
    assert val["n"].sum() == scores(evaluation.splits["val"].sums[NETWORK]).n
    assert val["bias"].is_monotonic_decreasing, "a network that knows little is too wet where it is dry"


def test_an_empty_bin_has_a_reason_and_no_numbers(evaluation: Evaluation) -> None:
    test = evaluation.splits["test"]
    dry = {name: torch.cat((sums[:, :, :4], 0 * sums[:, :, 4:]), 2) for name, sums in test.sums.items()}
    changed = Evaluation({"test": replace(test, sums=dry)}, evaluation.kinds, evaluation.config, 0)
    last = _rows(scores_by_bin(changed)).iloc[-1]
    assert (last["n"], last["reason"]) == (0, "no labelled pixels")
    assert last[["bias", "rmse", "mae"]].isna().all()


def test_detection_has_a_row_a_model_and_threshold(evaluation: Evaluation) -> None:
    table = _rows(detection_table(evaluation))
    assert table["threshold"].tolist() == [0.5, 0.6, 0.8]
    assert table["events"].is_monotonic_decreasing
    assert (table["n"] == scores(evaluation.splits["test"].sums[NETWORK]).n).all()
    found = _rows(detection_table(evaluation), model="antecedent rain").iloc[0]
    assert 0.3 < found["csi"] < found["pod"] < 1


def test_the_parts_of_the_error_add_up_to_it(evaluation: Evaluation) -> None:
    table = decomposition_table(evaluation)
    parts = table[["bias_squared", "variance_mismatch", "correlation_part"]].sum(axis=1)
    np.testing.assert_allclose(parts, table["mse"], rtol=1e-9)
    mean = _rows(table, "train", "pixel mean").iloc[0]
    assert mean["bias_squared"] == pytest.approx(0, abs=1e-12)
    assert mean["mse"] == pytest.approx(scores(evaluation.splits["train"].sums["pixel mean"]).rmse ** 2)


def test_spatial_correlation_is_that_of_scipy_on_each_date() -> None:
    generator = torch.Generator().manual_seed(0)
    y, p = torch.rand(2, 6, 50, dtype=torch.float64, generator=generator)
    p = p + y
    sums = pixel_sums(p, y, y > 0.1, y, 0 * y, torch.arange(6), groups=6, bins=3)
    found = spatial_correlation(sums)
    expected = [pearsonr(a[a > 0.1], b[a > 0.1]).statistic for a, b in zip(y.numpy(), p.numpy(), strict=True)]
    assert (found.n, found.reason) == (6, "")
    assert (found.q25, found.median, found.q75) == pytest.approx(tuple(np.quantile(expected, [0.25, 0.5, 0.75])))
    assert spatial_correlation(0 * sums).reason == "no date has labels and predictions that vary"


def test_correlations_over_time_and_space_are_apart(evaluation: Evaluation) -> None:
    table = correlation_table(evaluation)
    rain = _rows(table, model="antecedent rain").set_index("over")
    assert rain.loc["time", "median"] > 0.6 > rain.loc["space", "median"], "rain is the same all over the extent"
    mean = _rows(table, model="pixel mean").set_index("over")
    assert mean.loc["time", "n"] == 0
    assert mean.loc["time", "reason"] == "no pixel has 5 dates on which labels and predictions vary"
    assert mean.loc["space", "n"] == len(evaluation.splits["test"].times)
