import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlssm.retrieval.references import (
    Quantile,
    References,
    fit_angle_slope,
    fit_quantile,
    fit_references,
    normalise_angle,
)
from mlssm.retrieval.shift import PILED_UP, THINNED_OUT, quantile, quantile_shift

NAN = np.nan
STACKS = arrays(np.float64, (9, 2, 3), elements=st.floats(-30, 0) | st.just(NAN))


@given(STACKS, st.floats(0, 100))
def test_quantile_equals_numpys(values: np.ndarray, percent: float) -> None:
    values[0] = np.where(np.isnan(values).all(axis=0), -9.0, values[0])  # numpy warns of empty columns
    found = fit_quantile(values, percent, 1, 0.5, THINNED_OUT).value
    np.testing.assert_allclose(found, np.nanquantile(values, percent / 100, axis=0), rtol=1e-12)


def test_pixels_with_too_few_dates_have_no_reference() -> None:
    values = np.full((6, 1, 2), -10.0)
    values[:2, 0, 1] = NAN
    found = fit_references(values, 5, 95, 5, 0.5)
    for reference in (found.dry, found.wet):
        np.testing.assert_array_equal(np.isnan(reference.value), [[False, True]])


def simulated_quantile(truth: np.ndarray, percent: float, deviation: float) -> np.ndarray:
    """The quantile of a pixel's noisy samples, drawn 4000 times."""
    noise = np.random.default_rng(1).normal(0, deviation, (4000, len(truth)))
    return np.percentile(truth + noise, percent, axis=1)


@pytest.mark.parametrize("dates", [6, 14, 60])
@pytest.mark.parametrize("percent", [5, 95])
def test_variance_of_a_quantile_is_about_that_of_repeated_draws(dates: int, percent: float) -> None:
    """From one noisy stack, against many: on the mean over pixels between 0.7 and 1.5 times."""
    truth = np.linspace(0, 8, dates)
    drawn = simulated_quantile(truth, percent, 0.6).var()
    noisy = truth[:, None, None] + np.random.default_rng(2).normal(0, 0.6, (dates, 40, 40))
    estimated = fit_quantile(noisy, percent, 5, 0.36, THINNED_OUT).variance.mean()
    assert 0.7 * drawn < estimated < 1.5 * drawn


@pytest.mark.parametrize(
    ("truth", "percent", "extrapolation"),
    [
        (np.r_[np.zeros(30), np.linspace(0, 6, 20)], 5, PILED_UP),
        (np.linspace(0, 6, 50), 95, THINNED_OUT),
        (np.r_[np.zeros(40), np.linspace(0, 6, 10)], 95, THINNED_OUT),
    ],
)
def test_shift_of_a_quantile_is_found_from_noisy_samples(truth, percent, extrapolation) -> None:
    """Against the mean of many draws about a known truth; without the correction it would be 0."""
    expected = simulated_quantile(truth, percent, 0.5).mean() - np.percentile(truth, percent)
    noisy = truth[:, None, None] + np.random.default_rng(3).normal(0, 0.5, (len(truth), 40, 40))
    found = quantile_shift(noisy, quantile(noisy, percent), percent, 0.25, extrapolation)
    assert found.mean() == pytest.approx(expected, rel=0.35, abs=0.05)


def test_shift_is_nothing_without_speckle_and_unknown_without_a_quantile() -> None:
    values = np.random.default_rng(0).normal(0, 1, (9, 1, 2))
    value = np.array([[0.3, NAN]])
    np.testing.assert_array_equal(quantile_shift(values, value, 5, 0.0, PILED_UP), [[0, NAN]])
    np.testing.assert_array_equal(np.isnan(quantile_shift(values, value, 5, 0.5, PILED_UP)), [[False, True]])


@given(st.floats(-0.5, 0.5), st.floats(-20, -5), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_slope_of_a_line_is_exact(slope: float, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angle = rng.uniform(30, 46, (8, 2, 2))
    angle[:2] = [[[30.0]], [[46.0]]]
    sigma = level + slope * (angle - 40)
    sigma[3, 0, 0] = angle[4, 1, 1] = NAN
    np.testing.assert_allclose(fit_angle_slope(sigma, angle, 5), slope, atol=1e-9)
    np.testing.assert_allclose(normalise_angle(sigma, angle, np.full((2, 2), slope))[0], level, rtol=1e-9)


def test_slope_equals_polyfit_with_noise() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(30, 46, (40, 1, 1))
    sigma = -10 - 0.13 * (angle - 40) + rng.normal(0, 1, angle.shape)
    assert fit_angle_slope(sigma, angle, 5)[0, 0] == pytest.approx(np.polyfit(angle.ravel(), sigma.ravel(), 1)[0])


def test_slope_is_unknown_where_the_angle_stays_or_dates_are_few() -> None:
    angle = np.full((6, 1, 2), 38.0)
    angle[:, 0, 1] = np.linspace(30, 46, 6)
    sigma = np.random.default_rng(0).normal(-10, 1, angle.shape)
    np.testing.assert_array_equal(np.isnan(fit_angle_slope(sigma, angle, 5)), [[True, False]])
    assert np.isnan(fit_angle_slope(sigma, angle, 7)).all()


def test_what_responds_to_moisture_and_is_not_water() -> None:
    nothing = np.zeros((1, 5))
    dry = Quantile(np.array([[-15.0, -15, -28, NAN, -12]]), nothing, nothing)
    wet = Quantile(np.array([[-11.0, -13.5, -22, NAN, -12]]), nothing, nothing)
    found = References(dry, wet, np.array([[-13.0, -14, -25, NAN, -12]]))
    np.testing.assert_array_equal(found.usable(2, -20), [[True, False, False, False, False]])
    # even without a threshold a pixel that never changes has no scale
    np.testing.assert_array_equal(found.usable(0, -20), [[True, True, False, False, False]])


def test_bands_of_rows_are_put_together_as_they_were() -> None:
    values = np.random.default_rng(0).normal(-12, 2, (9, 6, 4))
    whole = fit_references(values, 5, 95, 5, 0.3)
    bands = References.stacked([fit_references(values[:, rows], 5, 95, 5, 0.3) for rows in (slice(0, 2), slice(2, 6))])
    np.testing.assert_array_equal(bands.dry.value, whole.dry.value)
    np.testing.assert_array_equal(bands.wet.variance, whole.wet.variance)
    np.testing.assert_array_equal(bands.mean, whole.mean)
