from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.where import doubts, parts_table, sentences, window_rain, worst_dates
from mlssm.scores.sums import per_date, scores
from mlssm.weather.stations import VARIABLES

NETWORK = "ConvLSTM"


@pytest.fixture(scope="module")
def rain(experiment: Experiment, config: Any) -> np.ndarray:
    return window_rain(experiment.cube, config.window)


def test_the_parts_of_each_models_error_add_up_to_its_score(evaluation: Evaluation) -> None:
    table = parts_table(evaluation)
    test = table[table["split"] == "test"].set_index("model")
    assert list(test.index) == ["labels", *evaluation.splits["test"].sums]
    for model, sums in evaluation.splits["test"].sums.items():
        assert test.loc[model, "total"] == pytest.approx(scores(sums).rmse ** 2)
    parts = test[["offset", "date", "date_extent", "pixel", "rest"]]
    np.testing.assert_allclose(parts.sum(axis=1), test["total"])
    assert test.loc["labels", "date"] > 0.2 * test.loc["labels", "total"], "rain moves all pixels at once"


def test_the_worst_dates_are_those_with_most_squared_error(
    evaluation: Evaluation, experiment: Experiment, rain: np.ndarray
) -> None:
    days, part = experiment.cube.local_days, evaluation.splits["test"]
    found = worst_dates(evaluation, days, rain)
    mine = found[(found["split"] == "test") & (found["model"] == NETWORK)]
    squared = np.array([each.n * each.rmse**2 for each in per_date(part.sums[NETWORK])])
    order = np.argsort(-squared)[:5]
    assert mine["date"].tolist() == [str(days[part.times[place]]) for place in order]
    np.testing.assert_allclose(mine["share"], squared[order] / squared.sum())
    np.testing.assert_allclose(mine["window_rain"], rain[[part.times[place] for place in order]])
    assert 0 < mine["share"].sum() <= 1


def test_the_rain_of_a_window_is_that_of_its_days(experiment: Experiment, config: Any, rain: np.ndarray) -> None:
    weather = experiment.cube.weather
    daily = pd.DataFrame(weather.values[:, :, VARIABLES.index("precipitation")], index=weather.days)
    for time in (3, 20):
        end = experiment.cube.window_ends[time]
        window = daily.loc[end - np.timedelta64(config.window.lag - 1, "D") : end]
        assert rain[time] == pytest.approx(window.sum(min_count=1).mean())


def test_two_lines_say_where_the_error_lies() -> None:
    parts = {"offset": 0.01, "date": 0.02, "date_extent": 0.0, "pixel": 0.03, "rest": 0.04, "total": 0.1}
    table = pd.DataFrame([{"split": "test", "model": "net", **parts}])
    dates = {"date": ["2022-11-01", "2023-01-05"], "share": [0.5, 0.25], "observed": [0.93, 0.2]}
    dates |= {"predicted": [0.41, 0.3], "window_rain": [1.2, np.nan]}
    worst = pd.DataFrame(dates).assign(split="test", model="net")
    first, second = sentences(table, worst, "net")
    assert first.endswith(": 10% offset, 20% date, 0% date x extent, 30% pixel, 40% rest")
    assert second == (
        "most of it: 2022-11-01 (50%; labels 0.93, predicted 0.41, 1 mm of rain in the window); "
        "2023-01-05 (25%; labels 0.20, predicted 0.30, rain unknown)"
    )
    assert sentences(table, worst, "other") == ()


def test_stations_far_from_the_extents_are_a_doubt(santa_barbara: Any, watershed: Any) -> None:
    assert doubts(santa_barbara.cube)[0].startswith("3 of 5 extents have no station within 50 km")
    assert doubts(watershed.cube) == ()
