from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlssm.data.assemble import Experiment
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.climatology import Climatology, Season, year_phase
from mlssm.evaluation.baselines.pixel_mean import PixelMean

DAY = 1 / 365.25


def _season(*dates: tuple[float, float, float]) -> Season:
    """From (phase, labels, mean anomaly) of each date."""
    phase, count, anomaly = np.array(dates).reshape(-1, 3).T
    return Season(phase, count, count * anomaly)


def test_a_single_date_is_believed_by_half_on_its_own_day() -> None:
    assert _season((0.5, 40, 0.3)).anomaly(0.5) == pytest.approx(0.15)


def test_a_bandwidth_away_it_is_believed_less() -> None:
    weight = np.exp(-0.5)
    assert _season((0.5, 40, 0.3)).anomaly(0.5 + 15 * DAY) == pytest.approx(0.3 * weight / (weight + 1))


def test_dates_weigh_by_their_labels() -> None:
    season = _season((0.5, 30, 0.4), (0.5, 10, -0.4))
    assert season.anomaly(0.5) == pytest.approx((30 * 0.4 - 10 * 0.4) / (40 + 20))


def test_many_dates_are_believed_whole() -> None:
    assert _season(*[(0.2, 5, 0.25)] * 1000).anomaly(0.2) == pytest.approx(0.25, rel=2e-3)


def test_far_from_every_training_date_there_is_no_anomaly() -> None:
    assert _season((0.1, 40, 0.3), (0.12, 40, 0.4)).anomaly(0.6) == pytest.approx(0, abs=1e-12)
    assert _season().anomaly(0.6) == 0


def test_new_year_is_no_edge() -> None:
    season = _season((364 * DAY, 7, 0.2))
    assert season.anomaly(1 * DAY) == pytest.approx(season.anomaly(361.75 * DAY))
    assert season.anomaly(1 * DAY) > 0.45 * 0.2


DATE = st.tuples(st.floats(0, 0.999), st.integers(1, 500), st.floats(-1, 1))


@settings(max_examples=60, deadline=None)
@given(dates=st.lists(DATE, min_size=1, max_size=12), phase=st.floats(0, 0.999))
def test_an_anomaly_is_never_beyond_those_of_the_dates(dates: list[tuple[float, int, float]], phase: float) -> None:
    anomalies = [0.0, *(anomaly for *_, anomaly in dates)]
    assert min(anomalies) - 1e-12 <= _season(*dates).anomaly(phase) <= max(anomalies) + 1e-12


def test_the_phase_is_that_of_pandas() -> None:
    days = pd.date_range("2019-12-25", "2021-01-06").append(pd.date_range("2024-02-27", "2024-03-02"))
    expected = (days.dayofyear - 1) / np.where(days.is_leap_year, 366, 365)
    np.testing.assert_allclose(year_phase(days.to_numpy().astype("datetime64[D]")), expected)


def test_predictions_are_clipped_and_of_their_own_extent() -> None:
    mean = PixelMean((np.array([[0.1, 0.5]]), np.array([[0.9]])))
    climatology = Climatology(mean, (_season((0.5, 9, -0.4)), _season((0.5, 9, 0.6))), np.array([0.5, 0.0]))
    rows, cols = slice(0, 2), slice(0, 2)
    np.testing.assert_allclose(climatology.at(PatchPlace(0, 0, rows, cols)), [[0.0, 0.3]])
    np.testing.assert_allclose(climatology.at(PatchPlace(1, 0, rows, cols)), [[1.0]])
    np.testing.assert_allclose(climatology.at(PatchPlace(1, 1, rows, cols)), [[0.9]])


def test_the_fit_is_that_of_pandas(
    any_experiment: Experiment, training_labels: Callable[[Experiment], pd.DataFrame], fitted: Any
) -> None:
    mean, found, *_ = fitted(any_experiment)
    assert isinstance(mean, PixelMean)
    assert isinstance(found, Climatology)
    labels = training_labels(any_experiment)
    labels["anomaly"] = labels["ssm"] - labels.groupby(["extent", "row", "col"])["ssm"].transform("mean")
    days = pd.DatetimeIndex(any_experiment.cube.local_days)
    year = np.where(days.is_leap_year, 366, 365)
    for extent in range(len(any_experiment.field.places)):
        dates = labels[labels["extent"] == extent].groupby("time")["anomaly"].agg(["sum", "count"])
        for time in range(0, len(days), 5):
            apart = ((days.dayofyear - 1) / year)[dates.index] - ((days.dayofyear - 1) / year)[time]
            circular = 365.25 * np.abs((apart + 0.5) % 1 - 0.5)
            weight = np.exp(-(circular**2) / 450)
            below = (weight * dates["count"]).sum() + dates["count"].mean()
            anomaly = (weight * dates["sum"]).sum() / below if len(dates) else 0
            ssm = found.at(PatchPlace(extent, time, slice(2, 11), slice(0, 9)))
            expected = np.clip(mean.maps[extent][2:11, :9] + anomaly, 0, 1)
            np.testing.assert_allclose(ssm, expected, rtol=1e-9, atol=1e-12)
