from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from mlssm.retrieval.geometry import layover_or_shadow
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.pixel_masks import LeastSpan, pixel_reasons
from mlssm.retrieval.reasons import TITLES, Reason
from mlssm.retrieval.references import References

NAN = np.nan


@pytest.fixture
def config(train_config: Any) -> Any:
    def make(**changes: Any) -> Any:
        none = {"double_bounce_above_db": None, "forest_above_db": None, "water_below_db": -20, "min_sensitivity_db": 2}
        return train_config().retrieval.model_copy(update=none | changes)

    return make


def test_each_pixel_that_has_no_label_says_why(config: Any) -> None:
    dry = np.array([[-15.0, -15, -28, NAN, -12, NAN]])
    wet = np.array([[-11.0, -13.5, -22, NAN, -12, NAN]])
    found = References(dry, wet, np.array([[-13.0, -14, -25, NAN, -12, -12]]))
    wanted = [[0, Reason.LOW_SENSITIVITY, Reason.WATER, Reason.NOT_MEASURED, Reason.LOW_SENSITIVITY, Reason.FEW_DATES]]
    np.testing.assert_array_equal(pixel_reasons(found, 2, config()), wanted)
    # even without a threshold a pixel that never changes has no scale
    wanted[0][1] = 0
    np.testing.assert_array_equal(pixel_reasons(found, 0, config()), wanted)


def test_several_reasons_are_kept_beside_each_other(config: Any) -> None:
    found = References(np.array([[2.0, -12]]), np.array([[3.0, -8]]), np.array([[2.4, -10]]))
    strict = config(double_bounce_above_db=0.0, forest_above_db=-6.0)
    flags = pixel_reasons(found, 2, strict, np.array([[-9.0, -5.0]]))
    np.testing.assert_array_equal(flags, [[Reason.LOW_SENSITIVITY | Reason.DOUBLE_BOUNCE, Reason.DENSE_FOREST]])
    assert list(TITLES) == list(Reason)


def test_the_least_span_follows_looks_window_and_weights(config: Any) -> None:
    """9 pixels of 10.1 looks that correlate by 0.19 beside each other: s is 0.56 dB, in 0.7 VV + 0.3 VH 0.43 dB."""
    speckle = Speckle(10.1, (0.19, 0.19, 0.0))
    count = np.full((4, 1, 2), 9)
    least = config(min_sensitivity_db=0.0, min_sensitivity_speckle=1.0)
    one = LeastSpan(least, speckle, 3, 1.0).of(count)
    mix = LeastSpan(least, speckle, 3, 0.7**2 + 0.3**2).of(count)
    np.testing.assert_allclose(one, 0.56, atol=0.005)
    np.testing.assert_allclose(mix, 0.43, atol=0.005)
    # half of a window's pixels leave more speckle, and the fixed threshold is the least
    count[:, 0, 1] = 5
    few = np.asarray(LeastSpan(least, speckle, 3, 1.0).of(count))
    assert few[0, 1] > 1.3 * few[0, 0]
    assert np.all(LeastSpan(config(min_sensitivity_speckle=1.0), speckle, 3, 1.0).of(count) == 2)
    assert LeastSpan(config(min_sensitivity_speckle=0.0), speckle, 3, 1.0).of(count) == 2


def test_at_the_threshold_half_of_a_labels_variance_is_speckle() -> None:
    """Of normal speckle of s alone, 5 and 95 % are 3.29 s apart; of twice its variance 4.65 s."""
    apart = norm.ppf(0.95) - norm.ppf(0.05)
    assert abs(apart - 3.29) < 0.001
    assert abs(apart * np.sqrt(2) - 4.65) < 0.01


@pytest.mark.parametrize(("azimuth", "towards"), [(90.0, "left"), (0.0, "bottom")])
def test_slopes_steeper_than_the_look_are_layover_and_steep_ones_behind_are_shadow(
    azimuth: float, towards: str
) -> None:
    """A ridge with slopes of 45 degrees: at 40 degrees its near side is layover, at 50 degrees its far side shadow."""
    ridge = 30.0 * np.minimum(np.arange(9), 8 - np.arange(9))
    height = np.tile(ridge, (9, 1)) if towards == "left" else np.tile(ridge[:, None], (1, 9))
    steep, flat = (layover_or_shadow(height, np.full(height.shape, look), 30.0, azimuth) for look in (40.0, 50.0))
    near, far = np.zeros_like(steep), np.zeros_like(steep)
    if towards == "left":
        near[:, :4], far[:, 5:] = True, True
    else:  # looking north, rows run south: the near side is below
        near[5:], far[:4] = True, True
    np.testing.assert_array_equal(steep, near)
    np.testing.assert_array_equal(flat, far)
    gentle = layover_or_shadow(height / 3, np.full(height.shape, 40.0), 30.0, azimuth)
    assert not gentle.any()
