import io

import numpy as np
import pandas as pd
import pytest

from mlssm.evaluation.figures import leakage_figure, paper_figure, two_by_two

NAN = float("nan")


@pytest.fixture
def square() -> pd.DataFrame:
    rows = [
        (lag, training, test, 0.1 * lag + plus, 0.2 - 0.01 * lag)
        for lag in (3, 1)
        for training, more in (("two_pass", 0.05), ("natural", 0.0))
        for test, plus in (("balanced", 0.4 + more), ("natural", more))
    ]
    return pd.DataFrame(rows, columns=["lag", "training", "test", "r2", "rmse"])


def test_a_row_a_lag_and_a_line_a_training(square: pd.DataFrame) -> None:
    figure = two_by_two(square, "split by_season")
    r2_1, rmse_1, r2_3, rmse_3 = figure.axes
    expected = {(r2_1, 0): [0.1, 0.5], (r2_1, 1): [0.15, 0.55], (r2_3, 0): [0.3, 0.7], (r2_3, 1): [0.35, 0.75]}
    for (axes, place), values in expected.items():
        line = [line for line in axes.lines if not str(line.get_label()).startswith("_")][place]
        assert line.get_label() == ("plain training", "rebalanced training")[place]
        np.testing.assert_allclose(line.get_ydata(), values)
    np.testing.assert_allclose(rmse_1.lines[0].get_ydata(), [0.19, 0.19])
    assert rmse_3.get_ylim()[0] == 0
    assert r2_1.get_ylim() == r2_3.get_ylim()
    assert [tick.get_text() for tick in rmse_3.get_xticklabels()] == ["natural test", "balanced test"]


def test_a_missing_cell_leaves_a_gap_and_a_missing_lag_is_said(square: pd.DataFrame) -> None:
    gone = (square["lag"] == 3) | ((square["training"] == "two_pass") & (square["test"] == "balanced"))
    square.loc[gone, ["r2", "rmse"]] = NAN
    figure = two_by_two(square, "split by_season")
    lines = [line for line in figure.axes[0].lines if line.get_label() == "rebalanced training"]
    np.testing.assert_allclose(lines[0].get_ydata(), [0.15, NAN])
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [[], [], *[["no scored run"]] * 2]


def test_the_paper_and_ours_stand_beside_each_other_a_row_a_protocol() -> None:
    rows = [
        (protocol, lag, stage, split, score, lag + shift, lag + shift + 0.5 if protocol == "own" else NAN)
        for protocol in ("own", "held out")
        for lag in (1, 2)
        for shift, stage in ((10, "before"), (20, "after"))
        for split in ("train", "test")
        for score in ("r2", "rmse", "mae", "corr")
    ]
    frame = pd.DataFrame(rows, columns=["protocol", "lag", "stage", "split", "score", "paper", "ours"])
    frame.loc[frame["split"] == "train", "paper"] = 99.0
    figure = paper_figure(frame)
    figure.savefig(io.BytesIO(), dpi=30)
    assert len(figure.axes) == 8
    assert [axes.get_title() for axes in figure.axes[:4]] == ["R² (-)", "RMSE (SSM)", "MAE (SSM)", "correlation (-)"]
    drawn = {str(line.get_label()): list(np.asarray(line.get_ydata())) for line in figure.axes[2].lines}
    assert drawn == {
        "paper, before": [11, 12],
        "ours, before": [11.5, 12.5],
        "paper, after": [21, 22],
        "ours, after": [21.5, 22.5],
    }
    assert np.isnan(np.asarray(figure.axes[4].lines[1].get_ydata(), dtype=float)).all()
    with pytest.raises(ValueError, match="at least one row"):
        paper_figure(frame[frame["split"] == "train"])


def test_leakage_is_a_row_a_split_and_says_what_was_not_scored() -> None:
    frame = pd.DataFrame(
        {
            "split": ["random_patch", "by_season", "by_block"],
            "r2": [0.7, 0.3, NAN],
            "r2_low": [0.6, NAN, NAN],
            "r2_high": [0.75, NAN, NAN],
            "r2_cap": [0.8, 0.85, NAN],
            "rmse": [0.1, 0.2, NAN],
            "baseline_r2": [0.5, 0.35, NAN],
            "baseline_rmse": [0.15, 0.19, NAN],
        }
    )
    left, right = leakage_figure(frame).axes
    named = {str(line.get_label()): np.asarray(line.get_xdata(), dtype=float) for line in left.lines}
    np.testing.assert_array_equal(named["best baseline"], frame["baseline_r2"])
    np.testing.assert_array_equal(named["cap"], frame["r2_cap"])
    np.testing.assert_array_equal(left.lines[0].get_xdata(), frame["r2"])
    np.testing.assert_array_equal(right.lines[0].get_xdata(), frame["rmse"])
    np.testing.assert_array_equal(right.lines[1].get_xdata(), frame["baseline_rmse"])
    assert [label.get_text() for label in left.get_yticklabels()] == list(frame["split"])
    assert [(text.get_text(), text.get_position()[1]) for text in left.texts] == [("not scored", 2)]
    assert left.get_ylim() == (2.5, -0.5)  # the first row on top
    assert [0.7, 0.7] in [list(np.asarray(line.get_xdata(), dtype=float)) for line in left.lines]
