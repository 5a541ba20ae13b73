import math
import re

import numpy as np
import pytest
from scipy.stats import linregress

from mlssm.evaluation.baselines import AntecedentPrecipitation, LabelSums, PixelMean
from mlssm.grid import Floats

NAN = float("nan")


def _labels(seed: int = 3) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    ssm = rng.uniform(0.2, 0.8, (9, 3, 4))
    ssm[rng.random(ssm.shape) < 0.25] = NAN
    return ssm, rng.gamma(1.0, 10.0, 9)


def _sums(ssm: Floats, api: Floats) -> LabelSums:
    sums = LabelSums.empty(ssm.shape[1:])
    for labels, index in zip(ssm, api, strict=True):
        sums.add(labels, float(index))
    return sums


def test_labels_added_patch_by_patch_are_those_added_at_once() -> None:
    ssm, api = _labels()
    pieces = LabelSums.empty(ssm.shape[1:])
    for labels, index in zip(ssm, api, strict=True):
        for rows in (slice(0, 2), slice(2, 9)):  # the last reaches past the area, as a patch at its edge does
            for cols in (slice(0, 1), slice(1, 4)):
                pieces.add(labels[rows, cols], float(index), rows, cols)
    whole = _sums(ssm, api)
    for name in ("n", "x", "y", "xx", "xy"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


def test_labels_that_do_not_fit_their_place_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4\) do not fit rows and columns \(2, 4\)"):
        LabelSums.empty((3, 4)).add(np.zeros((1, 4)), 0.0, slice(0, 2))


def test_pixel_mean_skips_masked_labels_and_falls_back_on_the_area() -> None:
    ssm = np.array([[[0.2, NAN, NAN]], [[0.4, 0.9, NAN]]])
    np.testing.assert_allclose(PixelMean.fit(_sums(ssm, np.zeros(2)), fallback=0.1).predict(), [[0.3, 0.9, 0.5]])


def test_an_area_without_labels_gets_the_fallback_whatever_the_rain() -> None:
    empty = _sums(np.full((2, 2, 2), NAN), np.array([1.0, 9.0]))
    assert (PixelMean.fit(empty, fallback=0.25).predict() == 0.25).all()
    yardstick = AntecedentPrecipitation.fit(empty, fallback=0.25)
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
    fitted = AntecedentPrecipitation.fit(_sums(ssm, api), fallback=NAN)
    np.testing.assert_allclose(fitted.slope, 0.7 * own.mean() + 0.3 * own, rtol=1e-9)
    np.testing.assert_allclose(fitted.mean, np.nanmean(ssm, axis=0))


def test_the_prediction_passes_through_the_pixels_means() -> None:
    ssm, api = _labels()
    fitted = AntecedentPrecipitation.fit(_sums(ssm, api), fallback=NAN)
    place = (1, 2)
    centre = np.log1p(api[~np.isnan(ssm[:, 1, 2])]).mean()
    assert fitted.predict(float(np.expm1(centre)))[place] == pytest.approx(np.nanmean(ssm[:, 1, 2]))


def test_a_pixel_that_saw_one_wetness_gets_the_areas_slope() -> None:
    api = np.array([0.0, math.e - 1, math.e - 1])  # log(1 + index) = 0, 1, 1
    ssm = np.array([[[0.2, NAN]], [[0.6, 0.5]], [[0.6, 0.7]]])
    fitted = AntecedentPrecipitation.fit(_sums(ssm, api), fallback=NAN)
    np.testing.assert_allclose(fitted.slope, [[0.4, 0.4]])
    np.testing.assert_allclose(fitted.predict(0.0), [[0.2, 0.2]])


def test_predictions_stay_in_range_in_a_flood() -> None:
    ssm, api = _labels()
    fitted = AntecedentPrecipitation.fit(_sums(ssm, api), fallback=NAN)
    for index in (0.0, 1e9):
        prediction = fitted.predict(index)
        assert prediction.min() >= 0
        assert prediction.max() <= 1
    assert {0.0, 1.0} & set(fitted.predict(1e9).ravel().tolist())


def test_a_part_of_the_area_is_predicted_as_in_the_whole() -> None:
    ssm, api = _labels()
    sums = _sums(ssm, api)
    place = slice(1, 3), slice(2, 9)
    yardstick, mean = AntecedentPrecipitation.fit(sums, fallback=NAN), PixelMean.fit(sums, fallback=NAN)
    np.testing.assert_array_equal(yardstick.predict(7.0, *place), yardstick.predict(7.0)[place])
    np.testing.assert_array_equal(mean.predict(*place), mean.predict()[place])


@pytest.mark.parametrize("api", [-1.0, NAN, math.inf])
def test_an_index_that_cannot_be_is_refused(api: float) -> None:
    with pytest.raises(ValueError, match=re.escape("finite and >= 0")):
        LabelSums.empty((1, 1)).add(np.zeros((1, 1)), api)
    with pytest.raises(ValueError, match=re.escape("finite and >= 0")):
        AntecedentPrecipitation.fit(LabelSums.empty((1, 1)), fallback=0.5).predict(api)
