import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import linregress

from mlssm.data.assemble import Experiment
from mlssm.evaluation.baselines.antecedent_rain import AntecedentRain, RainResponse, precipitation_indices
from mlssm.evaluation.baselines.training import PixelLabels, wetness
from mlssm.weather.stations import VARIABLES

NAN = float("nan")


def _labels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    ssm = rng.uniform(0.2, 0.8, (9, 3, 4))
    ssm[rng.random(ssm.shape) < 0.25] = NAN
    return ssm, rng.gamma(1.0, 10.0, 9)


def _fit(ssm: np.ndarray, api: np.ndarray, fallback: float = NAN) -> RainResponse:
    sums = PixelLabels.empty(ssm.shape[1:])
    for labels, index in zip(ssm, api, strict=True):
        sums.add(labels, wetness(float(index)))
    return RainResponse.fit(sums, fallback)


def test_slopes_are_those_of_scipy_shrunk_to_the_extent() -> None:
    ssm, api = _labels()
    x = np.log(1 + api)
    own = np.empty(ssm.shape[1:])
    for place in np.ndindex(own.shape):
        series = ssm[(slice(None), *place)]
        valid = ~np.isnan(series)
        own[place] = linregress(x[valid], series[valid]).slope
    fitted = _fit(ssm, api)
    np.testing.assert_allclose(fitted.slope, 0.7 * own.mean() + 0.3 * own, rtol=1e-9)
    np.testing.assert_allclose(fitted.mean, np.nanmean(ssm, axis=0))


def test_the_prediction_passes_through_the_pixels_means() -> None:
    ssm, api = _labels()
    centre = np.log1p(api[~np.isnan(ssm[:, 1, 2])]).mean()
    assert _fit(ssm, api).ssm(float(np.expm1(centre)))[1, 2] == pytest.approx(np.nanmean(ssm[:, 1, 2]))


def test_a_pixel_that_saw_one_wetness_gets_the_extents_slope() -> None:
    api = np.array([0.0, math.e - 1, math.e - 1])  # log(1 + index) = 0, 1, 1
    fitted = _fit(np.array([[[0.2, NAN]], [[0.6, 0.5]], [[0.6, 0.7]]]), api)
    np.testing.assert_allclose(fitted.slope, [[0.4, 0.4]])
    np.testing.assert_allclose(fitted.ssm(0.0), [[0.2, 0.2]])


def test_an_extent_without_labels_gets_the_fallback_whatever_the_rain() -> None:
    empty = _fit(np.full((2, 2, 2), NAN), np.array([1.0, 9.0]), fallback=0.25)
    assert (empty.ssm(0.0) == 0.25).all()
    assert (empty.ssm(80.0) == 0.25).all()


def test_predictions_stay_in_range_in_a_flood() -> None:
    fitted = _fit(*_labels())
    for index in (0.0, 1e9):
        prediction = fitted.ssm(index)
        assert prediction.min() >= 0
        assert prediction.max() <= 1
    assert {0.0, 1.0} & set(fitted.ssm(1e9).ravel().tolist())


def test_a_part_of_the_extent_is_predicted_as_in_the_whole() -> None:
    fitted, place = _fit(*_labels()), (slice(1, 3), slice(2, 9))
    np.testing.assert_array_equal(fitted.ssm(7.0, *place), fitted.ssm(7.0)[place])


def test_each_extent_has_its_own_response_and_rain(any_experiment: Experiment, fitted: Any) -> None:
    rain = fitted(any_experiment)[3]
    assert isinstance(rain, AntecedentRain)
    dataset, indices = any_experiment.datasets["test"], precipitation_indices(any_experiment)
    for place in (dataset.place(0), dataset.place(len(dataset) - 1)):
        index = float(indices[place.extent, place.time])
        expected = rain.responses[place.extent].ssm(index)[place.rows, place.cols]
        np.testing.assert_array_equal(rain.at(place), expected)


def test_the_index_is_of_the_rain_up_to_the_end_of_each_window(any_experiment: Experiment) -> None:
    found = precipitation_indices(any_experiment)
    assert found.shape == (len(any_experiment.field.places), *any_experiment.cube.times.shape)
    rain = any_experiment.field.weather.values[:, :, VARIABLES.index("precipitation")]
    days = any_experiment.field.weather.days
    # it lies between those of the driest and the wettest station of each day
    for bound, side in ((np.nanmin, 1), (np.nanmax, -1)):
        daily = np.nan_to_num(bound(np.where(np.isnan(rain).all(axis=1, keepdims=True), 0, rain), axis=1))
        for time in range(0, found.shape[1], 7):
            end = int((any_experiment.cube.window_ends[time] - days[0]).astype(int))
            index = sum(daily[end - age] * np.exp(-age / 3) for age in range(end + 1))
            assert (side * (found[:, time] - index) >= -1e-9).all()
