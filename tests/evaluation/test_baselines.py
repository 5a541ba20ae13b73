import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import linregress

from mlssm.evaluation.baselines import AntecedentPrecipitation, PixelMean, antecedent_precipitation_index
from mlssm.grid import Floats

NAN = float("nan")


def _labels(seed: int = 3) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    ssm = rng.uniform(0.2, 0.8, (9, 3, 4))
    ssm[rng.random(ssm.shape) < 0.25] = NAN
    return ssm, rng.gamma(1.0, 10.0, 9)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 200), min_size=1, max_size=60), st.floats(0.5, 30))
def test_index_is_the_recursive_filter_of_scipy(rain: list[float], memory: float) -> None:
    expected = lfilter([1.0], [1.0, -math.exp(-1 / memory)], rain)
    np.testing.assert_allclose(antecedent_precipitation_index(np.array(rain), memory), expected, atol=1e-9)


def test_a_missing_day_counts_as_a_dry_one_and_still_decays() -> None:
    index = antecedent_precipitation_index(np.array([10.0, NAN, 0.0]))
    np.testing.assert_allclose(index, [10, 10 * math.exp(-1 / 3), 10 * math.exp(-2 / 3)])


@pytest.mark.parametrize("rain", [[-1.0], [math.inf], [[1.0]]])
def test_rain_that_cannot_be_is_refused(rain: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values >= 0"):
        antecedent_precipitation_index(np.array(rain))


def test_pixel_mean_skips_masked_labels_and_falls_back_on_the_area() -> None:
    ssm = np.array([[[0.2, NAN, NAN]], [[0.4, 0.9, NAN]]])
    np.testing.assert_allclose(PixelMean.fit(ssm, fallback=0.1).predict(), [[0.3, 0.9, 0.5]])


def test_an_area_without_labels_gets_the_fallback_whatever_the_rain() -> None:
    empty = np.full((2, 2, 2), NAN)
    assert (PixelMean.fit(empty, fallback=0.25).predict() == 0.25).all()
    yardstick = AntecedentPrecipitation.fit(empty, np.array([1.0, 9.0]), fallback=0.25)
    assert (yardstick.predict(0.0) == 0.25).all()
    assert (yardstick.predict(80.0) == 0.25).all()


def test_slopes_are_those_of_scipy_shrunk_to_the_area() -> None:
    ssm, api = _labels()
    x = np.log(1 + api)
    own = np.empty(ssm.shape[1:])
    for place in np.ndindex(own.shape):
        series = ssm[(slice(None), *place)]
        valid = ~np.isnan(series)
        own[place] = linregress(x[valid], series[valid]).slope
    fitted = AntecedentPrecipitation.fit(ssm, api, fallback=NAN)
    np.testing.assert_allclose(fitted.slope, 0.7 * own.mean() + 0.3 * own, rtol=1e-9)
    np.testing.assert_allclose(fitted.mean, np.nanmean(ssm, axis=0))


def test_the_prediction_passes_through_the_pixels_means() -> None:
    ssm, api = _labels()
    fitted = AntecedentPrecipitation.fit(ssm, api, fallback=NAN)
    place = (1, 2)
    centre = np.log1p(api[~np.isnan(ssm[:, 1, 2])]).mean()
    assert fitted.predict(float(np.expm1(centre)))[place] == pytest.approx(np.nanmean(ssm[:, 1, 2]))


def test_a_pixel_that_saw_one_wetness_gets_the_areas_slope() -> None:
    api = np.array([0.0, math.e - 1, math.e - 1])  # log(1 + index) = 0, 1, 1
    ssm = np.array([[[0.2, NAN]], [[0.6, 0.5]], [[0.6, 0.7]]])
    fitted = AntecedentPrecipitation.fit(ssm, api, fallback=NAN)
    np.testing.assert_allclose(fitted.slope, [[0.4, 0.4]])
    np.testing.assert_allclose(fitted.predict(0.0), [[0.2, 0.2]])


def test_predictions_stay_in_range_in_a_flood() -> None:
    ssm, api = _labels()
    fitted = AntecedentPrecipitation.fit(ssm, api, fallback=NAN)
    for index in (0.0, 1e9):
        prediction = fitted.predict(index)
        assert prediction.min() >= 0
        assert prediction.max() <= 1
    assert {0.0, 1.0} & set(fitted.predict(1e9).ravel().tolist())


@pytest.mark.parametrize("api", [[-1.0, 2.0], [NAN, 2.0]])
def test_an_index_that_cannot_be_is_refused(api: list[float]) -> None:
    with pytest.raises(ValueError, match=re.escape("finite and >= 0")):
        AntecedentPrecipitation.fit(np.zeros((2, 1, 1)), np.array(api), fallback=0.0)


def test_an_index_that_does_not_fit_the_dates_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one index a date, not \(2, 1, 1\) and \(3,\)"):
        AntecedentPrecipitation.fit(np.zeros((2, 1, 1)), np.zeros(3), fallback=0.0)
