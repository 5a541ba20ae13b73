import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.retrieval.labels import AreaRetrieval, clipped_variance, retrieve
from mlssm.retrieval.references import Quantile, References

NAN = np.nan
EVERYTHING = (slice(None), slice(None))


def references(dry: float, wet: float, variance: float = 0.0, shift: float = 0.0) -> References:
    def reference(value: float, sign: int) -> Quantile:
        return Quantile(*(np.full((1, 3), number) for number in (value, variance, sign * shift)))

    return References(reference(dry, -1), reference(wet, 1), np.full((1, 3), -12.0))


def test_ssm_by_hand() -> None:
    """Halfway from -15 to -10 dB is 0.5; what lies outside is clipped; what is missing stays missing."""
    sigma = np.array([[[-12.5, -16, -9]], [[-14, NAN, -10]]])
    found = retrieve(sigma, np.full(sigma.shape, 0.2), references(-15, -10), EVERYTHING)
    np.testing.assert_allclose(found.ssm, [[[0.5, 0, 1]], [[0.2, NAN, 1]]], atol=1e-6)
    np.testing.assert_array_equal(np.isnan(found.standard_error), np.isnan(found.ssm))


def test_standard_error_by_hand() -> None:
    """At 0.5 of 10 dB clipping plays no part: v + v_dry / 4 + v_wet / 4, and shifts of -d and +d cancel."""
    found = retrieve(np.full((1, 1, 3), -10.0), np.full((1, 1, 3), 0.3), references(-15, -5, 0.2, 0.7), EVERYTHING)
    np.testing.assert_allclose(found.standard_error, np.sqrt(0.3 + 0.1) / 10, rtol=1e-5)
    low = retrieve(np.full((1, 1, 3), -13.0), np.full((1, 1, 3), 0.01), references(-15, -5, 0, 0.7), EVERYTHING)
    np.testing.assert_allclose(low.standard_error, np.hypot(0.1, 0.8 * 0.7 - 0.2 * 0.7) / 10, rtol=1e-4)


@given(st.floats(0, 1), st.floats(0.001, 1))
def test_clipped_variance_against_draws(mean: float, deviation: float) -> None:
    draws = np.clip(mean + deviation * NORMAL, 0, 1)
    found = float(clipped_variance(np.array(mean), np.array(deviation**2)))
    assert found == pytest.approx(draws.var(), rel=0.05, abs=1e-6)


NORMAL = np.random.default_rng(0).standard_normal(60_000)


def test_clipped_variance_at_its_ends() -> None:
    """At the edge half the mass is clipped: s^2 (1/2 - 1 / (2 pi)); far noise tosses a coin between 0 and 1."""
    np.testing.assert_allclose(clipped_variance(np.array(0.0), np.array(1e-4)), 1e-4 * (0.5 - 0.5 / np.pi), rtol=1e-6)
    np.testing.assert_allclose(clipped_variance(np.array(0.5), np.array(1e8)), 0.25, rtol=1e-3)
    assert float(clipped_variance(np.array(0.5), np.array(0.0))) == pytest.approx(0, abs=1e-9)


def area(by_orbit: dict[int, References], shared: bool) -> AreaRetrieval:
    usable = {orbit: np.array([[True, True, False]]) for orbit in by_orbit}
    return AreaRetrieval(by_orbit, usable, {}, None, shared)


def test_each_orbit_has_its_own_references_and_masked_is_nan() -> None:
    fitted = area({71: references(-20, -10), 137: references(-15, -5)}, shared=False)
    sigma, rows = np.full((2, 1, 3), -10.0), slice(None)
    found = fitted.label(sigma, np.array([71, 137]), np.full(sigma.shape, 0.1), rows, rows)
    np.testing.assert_allclose(found.ssm, [[[1, 1, NAN]], [[0.5, 0.5, NAN]]])
    assert np.isnan(found.standard_error[:, :, 2]).all()


def test_an_orbit_without_training_dates_is_masked_even_beside_images_of_no_known_orbit() -> None:
    """0 is also how an unknown orbit is written; its references are no other orbit's."""
    fitted = area({0: references(-20, -10)}, shared=False)
    sigma, rows = np.full((2, 1, 3), -15.0), slice(None)
    found = fitted.label(sigma, np.array([0, 137]), np.full(sigma.shape, 0.1), rows, rows)
    np.testing.assert_allclose(found.ssm[0], [[0.5, 0.5, NAN]])
    assert np.isnan(found.ssm[1]).all()
    together = area({0: references(-20, -10)}, shared=True)
    found = together.label(sigma, np.array([71, 137]), np.full(sigma.shape, 0.1), rows, rows)
    np.testing.assert_allclose(found.ssm[:, 0, :2], 0.5)


def test_labels_with_a_slope_are_those_at_40_degrees() -> None:
    angle, slope = np.array([[30.0, 40, 45]]), np.full((1, 3), -0.2)
    usable = {0: np.ones((1, 3), bool)}
    fitted = AreaRetrieval({0: references(-15, -5)}, usable, {137: angle}, slope, shared=True)
    sigma = -10 + slope * (angle - 40)
    found = fitted.label(sigma[None], np.array([137]), np.full((1, 1, 3), 0.1), slice(None), slice(None))
    np.testing.assert_allclose(found.ssm, 0.5, atol=1e-6)
