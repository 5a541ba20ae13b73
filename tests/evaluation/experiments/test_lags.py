"""Scores by lag, from scores whose every number tells where it belongs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mlssm.evaluation.experiments.lags import LagRun, lag_summary, lag_table
from mlssm.evaluation.figures import scores_by_lag

Scores = Callable[..., pd.DataFrame]
NAN = float("nan")


@pytest.fixture
def run(make_scores: Scores) -> Callable[..., LagRun]:
    """A training of a lag: R2 a tenth of it, the best baseline 0.05 below."""

    def make(lag: int, series: str = "", more: float = 0.0) -> LagRun:
        r2 = lag / 10 + more
        names = (("ConvLSTM", r2), ("ConvLSTM, no weather", 0.9), ("rain", r2 - 0.05), ("mean", 0.0))
        rows = [
            (name, split, kind, value, 0.3 - value / 10)
            for split in ("train", "val", "test")
            for kind in ("natural", "balanced")
            for name, value in names
        ]
        frame = make_scores(*rows)
        return LagRun(lag, series, frame.assign(best_baseline="rain", mae=frame["rmse"] / 2, skill=0.1, r2_cap=0.8))

    return make


def test_each_training_stands_beside_the_baseline_that_is_best_there(run: Callable[..., LagRun]) -> None:
    table = lag_table([run(1), run(3)])
    assert table[["lag", "split", "kind"]].to_numpy().tolist() == [
        [lag, split, kind] for lag in (1, 3) for split in ("test", "val") for kind in ("network", "baseline")
    ]
    assert set(table["model"]) == {"ConvLSTM", "rain"}
    assert table["r2"].tolist() == pytest.approx([0.1, 0.05, 0.1, 0.05, 0.3, 0.25, 0.3, 0.25])


def test_the_summary_is_the_test_by_lag_with_the_baseline_last(run: Callable[..., LagRun]) -> None:
    found = lag_summary(lag_table([run(3), run(1), run(1, more=0.02)]))
    assert found.columns.tolist() == ["lag", "model", "R2", "RMSE", "MAE", "corr", "bias", "skill"]
    assert found[["lag", "model"]].to_numpy().tolist() == [
        [1, "ConvLSTM"],
        [1, "best baseline: rain"],
        [3, "ConvLSTM"],
        [3, "best baseline: rain"],
    ]
    assert found["R2"].tolist() == pytest.approx([0.11, 0.06, 0.3, 0.25])


def test_series_are_apart(run: Callable[..., LagRun]) -> None:
    found = lag_summary(lag_table([run(1, "natural"), run(1, "two_pass", 0.1)]))
    assert found["model"].tolist() == ["natural", "two_pass", "best baseline: rain"]
    assert found["R2"].tolist() == pytest.approx([0.1, 0.2, 0.1])


def test_a_run_without_baselines_has_its_own_row_alone(run: Callable[..., LagRun]) -> None:
    alone = run(2)
    scores = alone.scores[alone.scores["kind"] == "network"].assign(best_baseline=NAN, skill=NAN)
    table = lag_table([LagRun(2, "", scores)])
    assert table["kind"].tolist() == ["network", "network"]
    figure = scores_by_lag(table, "by lag")
    assert [line.get_label() for line in figure.axes[1].lines if not line.get_label().startswith("_")] == ["network"]


def test_the_figure_draws_every_score_with_the_best_baseline_as_a_line(run: Callable[..., LagRun]) -> None:
    figure = scores_by_lag(lag_table([run(1), run(2), run(3)]), "by lag")
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["R² (-)", "RMSE (SSM)", "MAE (SSM)", "correlation (-)", "bias (SSM)", "RMSE (SSM)"]
    r2, rmse, *_ = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in r2.lines}
    np.testing.assert_allclose(drawn["network"], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(drawn["best baseline"], [0.05, 0.15, 0.25])
    np.testing.assert_allclose(drawn["cap"], [0.8] * 3)
    assert "cap" not in {line.get_label() for line in rmse.lines}
    assert rmse.get_xticks().tolist() == [1, 2, 3]


def test_an_unscored_split_is_said(run: Callable[..., LagRun]) -> None:
    table = lag_table([run(1)])
    table.loc[table["split"] == "val", "rmse"] = NAN
    figure = scores_by_lag(table, "by lag")
    assert [text.get_text() for text in figure.axes[-1].texts] == ["not scored"]
    with pytest.raises(ValueError, match="needs the columns"):
        scores_by_lag(table.drop(columns="bias"), "by lag")
