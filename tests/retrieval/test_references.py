import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import linregress

from mlssm.retrieval.references import (
    AngleSlope,
    fit_angle_slope,
    fit_references,
    normalise_angle,
)

NAN = np.nan
STACKS = arrays(np.float64, (9, 2, 3), elements=st.floats(-30, 0, allow_subnormal=False) | st.just(NAN))


@given(STACKS, st.floats(0, 50), st.floats(50, 100))
def test_references_equal_numpys_percentiles_and_mean(values: np.ndarray, low: float, high: float) -> None:
    values[0] = np.where(np.isnan(values).all(axis=0), -9.0, values[0])  # numpy warns of empty columns
    found = fit_references(values, low, high, 1)
    np.testing.assert_allclose([found.dry, found.wet], np.nanpercentile(values, [low, high], axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.mean, np.nanmean(values, axis=0), rtol=1e-12)


def test_pixels_with_too_few_dates_have_no_reference() -> None:
    values = np.full((6, 1, 2), -10.0)
    values[:2, 0, 1] = NAN
    found = fit_references(values, 5, 95, 5)
    for reference in (found.dry, found.wet):
        np.testing.assert_array_equal(np.isnan(reference), [[False, True]])


@given(st.floats(-0.5, 0.5), st.floats(-20, -5), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_slope_of_a_line_is_exact(slope: float, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angle = rng.uniform(30, 46, (8, 2, 2))
    angle[:2] = [[[30.0]], [[46.0]]]
    sigma = level + slope * (angle - 40)
    sigma[3, 0, 0] = angle[4, 1, 1] = NAN
    np.testing.assert_allclose(fit_angle_slope(sigma, angle, 5).value, slope, atol=1e-9)
    np.testing.assert_allclose(normalise_angle(sigma, angle, np.full((2, 2), slope))[0], level, rtol=1e-9)


def test_slope_equals_polyfit_with_noise() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(30, 46, (40, 1, 1))
    sigma = -10 - 0.13 * (angle - 40) + rng.normal(0, 1, angle.shape)
    assert fit_angle_slope(sigma, angle, 5).value[0, 0] == pytest.approx(np.polyfit(angle.ravel(), sigma.ravel(), 1)[0])


def test_slope_is_unknown_where_the_angle_stays_or_dates_are_few() -> None:
    angle = np.full((6, 1, 2), 38.0)
    angle[:, 0, 1] = np.linspace(30, 46, 6)
    sigma = np.random.default_rng(0).normal(-10, 1, angle.shape)
    np.testing.assert_array_equal(np.isnan(fit_angle_slope(sigma, angle, 5).value), [[True, False]])
    assert np.isnan(fit_angle_slope(sigma, angle, 7).value).all()


def test_the_slopes_error_equals_that_of_linear_regression() -> None:
    rng = np.random.default_rng(1)
    angle = rng.uniform(30, 46, (12, 1, 1))
    sigma = -10 - 0.12 * angle + rng.normal(0, 1, angle.shape)
    found = fit_angle_slope(sigma, angle, 5)
    wanted = linregress(angle.ravel(), sigma.ravel())
    np.testing.assert_allclose([found.value[0, 0], found.error[0, 0]], [wanted.slope, wanted.stderr])
    assert np.isnan(fit_angle_slope(sigma[:2], angle[:2], 2).error).all()  # two dates tell no error


def test_pooled_slopes_are_nearer_to_the_truth_and_as_wrong_as_they_say() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(-0.12, 0.03, (300, 300))
    error = np.full(truth.shape, 0.06)
    own = AngleSlope(truth + error * rng.normal(size=truth.shape), error)
    own.value[0, 0] = own.error[0, 0] = NAN
    found = own.pooled()
    # of 0.03^2 and 0.06^2 a fifth is the pixels' own: the error is sqrt(0.2) x 0.06
    assert abs(found.error[1, 1] - np.sqrt(0.2) * 0.06) < 0.002
    off = (found.value - truth)[1:]
    assert abs(off.std() / found.error[1:].mean() - 1) < 0.05
    # a pixel without a slope of its own has the extent's, and its error is the spread of the slopes
    assert abs(found.value[0, 0] + 0.12) < 0.005
    assert abs(found.error[0, 0] - 0.03) < 0.003
    unknown = AngleSlope(np.full((2, 2), NAN), np.full((2, 2), NAN))
    assert np.isnan(unknown.pooled().value).all()


def test_bands_of_rows_are_put_together_as_they_were() -> None:
    values = np.random.default_rng(0).normal(-12, 2, (9, 6, 4))
    whole = fit_references(values, 5, 95, 5)
    bands = [fit_references(values[:, rows], 5, 95, 5) for rows in (slice(0, 2), slice(2, 6))]
    for name in ("dry", "wet", "mean"):
        parts = np.concatenate([getattr(band, name) for band in bands])
        np.testing.assert_array_equal(parts, getattr(whole, name))
