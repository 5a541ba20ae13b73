import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlssm.retrieval.references import (
    References,
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
    dry = np.array([[-15.0, -15, -28, NAN, -12]])
    wet = np.array([[-11.0, -13.5, -22, NAN, -12]])
    found = References(dry, wet, np.array([[-13.0, -14, -25, NAN, -12]]))
    np.testing.assert_array_equal(found.usable(2, -20), [[True, False, False, False, False]])
    # even without a threshold a pixel that never changes has no scale
    np.testing.assert_array_equal(found.usable(0, -20), [[True, True, False, False, False]])


def test_bands_of_rows_are_put_together_as_they_were() -> None:
    values = np.random.default_rng(0).normal(-12, 2, (9, 6, 4))
    whole = fit_references(values, 5, 95, 5)
    bands = References.stacked([fit_references(values[:, rows], 5, 95, 5) for rows in (slice(0, 2), slice(2, 6))])
    np.testing.assert_array_equal(bands.dry, whole.dry)
    np.testing.assert_array_equal(bands.wet, whole.wet)
    np.testing.assert_array_equal(bands.mean, whole.mean)
