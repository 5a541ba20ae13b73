import numpy as np
import pandas as pd
import pytest
from matplotlib.container import BarContainer
from matplotlib.dates import date2num

from mlssm.evaluation.figures import by_bin, by_date, decomposition

NAN = float("nan")


@pytest.fixture
def bins() -> pd.DataFrame:
    rows = [(0.0, 0.5, "net", 10, 0.1, 0.2), (0.5, 1.0, "net", 0, NAN, NAN)]
    rows += [(0.0, 0.5, "rain", 10, 0.3, 0.4), (0.5, 1.0, "rain", 0, NAN, NAN)]
    return pd.DataFrame(rows, columns=["ssm_from", "ssm_to", "model", "n", "bias", "rmse"])


def test_by_bin_draws_each_model_in_the_middle_of_its_bins(bins: pd.DataFrame) -> None:
    bias, rmse, counts = by_bin(bins, "test").axes
    for axes, score in ((bias, "bias"), (rmse, "rmse")):
        for model in ("net", "rain"):
            line = next(line for line in axes.lines if line.get_label() == model)
            np.testing.assert_allclose(line.get_xdata(), [0.25, 0.75])
            np.testing.assert_array_equal(line.get_ydata(), bins.loc[bins["model"] == model, score])
    bars = [patch for patch in counts.patches if patch.get_width() > 0]
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in bars] == [(0, 0.5, 10), (0.5, 0.5, 0)]
    assert rmse.get_ylim()[0] == 0


def test_by_date_draws_dates_in_order_and_the_labels_once() -> None:
    rows = [("2023-02-01", "net", 0.4, 0.5, 0.1), ("2023-01-01", "net", 0.2, 0.3, NAN)]
    rows += [("2023-01-01", "rain", 0.2, 0.1, 0.3), ("2023-02-01", "rain", 0.4, 0.6, 0.2)]
    frame = pd.DataFrame(rows, columns=["date", "model", "observed", "predicted", "rmse"])
    mean, rmse = by_date(frame, "test").axes
    assert [line.get_label() for line in mean.lines] == ["retrieved", "net", "rain"]
    expected = [[0.2, 0.4], [0.3, 0.5], [0.1, 0.6]]
    for line, values in zip(mean.lines, expected, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        np.testing.assert_array_equal(
            date2num(line.get_xdata()), date2num(np.array(["2023-01-01", "2023-02-01"], "datetime64[D]"))
        )
    np.testing.assert_array_equal(rmse.lines[0].get_ydata(), [NAN, 0.1])


def test_parts_of_an_error_are_stacked_to_the_whole() -> None:
    frame = pd.DataFrame(
        {
            "model": ["net", "mean", "lost"],
            "bias_squared": [0.01, 0.02, NAN],
            "variance_mismatch": [0.03, 0.04, NAN],
            "correlation_part": [0.05, 0.06, NAN],
            "noise": [0.02, 0.02, NAN],
        }
    )
    axes = decomposition(frame, "test").axes[0]
    bars = [box for box in axes.containers if isinstance(box, BarContainer)]
    ends = np.array([[bar.get_x() + bar.get_width() for bar in box] for box in bars])
    np.testing.assert_allclose(ends[:, :2], [[0.01, 0.02], [0.04, 0.06], [0.09, 0.12]])
    assert [line.get_xdata() for line in axes.lines] == [[0.02, 0.02]]
    assert [text.get_text().strip() for text in axes.texts] == ["not defined"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["net", "mean", "lost"]


def test_unknown_noise_has_no_line() -> None:
    frame = pd.DataFrame([["net", 0.1, 0.1, 0.1, NAN]])
    frame.columns = pd.Index(["model", "bias_squared", "variance_mismatch", "correlation_part", "noise"])
    assert not decomposition(frame, "test").axes[0].lines


def test_a_table_that_does_not_fit_is_refused(bins: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"by_bin needs the columns \['rmse'\]"):
        by_bin(bins.drop(columns="rmse"), "test")
    with pytest.raises(ValueError, match="at least one row"):
        by_bin(bins.iloc[:0], "test")
