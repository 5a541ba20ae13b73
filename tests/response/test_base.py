"""The base against generalised least squares with the whole covariance matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlssm.response.base import PixelFits, Population, fit_pixels

SEASONS = np.repeat([2020, 2021, 2023], [5, 7, 4])
NOWHERE = Population(0.3, 0.1, 1.0)


def sample(seed: int, missing: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values, driver = rng.random((16, 4, 3)), rng.gamma(1, 2, (16, 4, 3))
    values[rng.random(values.shape) < missing] = np.nan
    return values, driver


def whitened(values: np.ndarray, driver: np.ndarray, correlation: float) -> np.ndarray:
    """Mean and slope of one pixel by least squares on what a Cholesky factor of V whitens."""
    known = np.isfinite(values)
    seasons, x = SEASONS[known], driver[known]
    covariance = np.eye(known.sum()) + correlation * (seasons[:, None] == seasons)
    factor = np.linalg.cholesky(covariance)
    design = np.column_stack([np.ones_like(x), x - x.mean()])
    both = np.linalg.solve(factor, np.column_stack([design, values[known]]))
    return np.linalg.lstsq(both[:, :2], both[:, 2], rcond=None)[0]


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0, 5))
def test_each_pixel_is_its_generalised_least_squares(seed: int, correlation: float) -> None:
    values, driver = sample(seed)
    fits = fit_pixels(values, driver, SEASONS, correlation)
    for row in range(4):
        for col in range(3):
            expected = whitened(values[:, row, col], driver[:, row, col], correlation)
            assert [fits.mean[row, col], fits.slope[row, col]] == pytest.approx(expected, abs=1e-9)


def test_without_correlation_it_is_a_straight_line() -> None:
    values, driver = sample(0, missing=0)
    fits = fit_pixels(values, driver, SEASONS, 0)
    slope, offset = np.polyfit(driver[:, 1, 2], values[:, 1, 2], 1)
    assert fits.slope[1, 2] == pytest.approx(slope)
    assert fits.mean[1, 2] == pytest.approx(offset + slope * driver[:, 1, 2].mean())
    assert fits.mean[1, 2] == pytest.approx(values[:, 1, 2].mean())


def test_one_driver_for_all_pixels_is_that_at_every_pixel() -> None:
    values, driver = sample(1)
    one = driver[:, :1, :1]
    left, right = fit_pixels(values, one, SEASONS), fit_pixels(values, np.broadcast_to(one, values.shape), SEASONS)
    assert np.array_equal(left.slope, right.slope)
    assert np.array_equal(left.mean, right.mean)


def test_slopes_are_pooled_partially_and_means_lie_around_the_plain_one() -> None:
    values, driver = sample(2, missing=0)
    fits = fit_pixels(values, driver, SEASONS)
    none, part, whole = (fits.pooled(share, NOWHERE) for share in (0.0, 0.4, 1.0))
    assert np.allclose(none.slope, fits.slope.mean())
    assert np.allclose(whole.slope, fits.slope)
    assert np.allclose(part.slope, 0.6 * fits.slope.mean() + 0.4 * fits.slope)
    assert part.mean.mean() == pytest.approx(values.mean())
    assert np.allclose(part.mean - part.mean.mean(), fits.mean - fits.mean.mean())
    ssm = part.ssm(driver)
    assert ssm.min() >= 0
    assert ssm.max() <= 1
    inside = (ssm > 0) & (ssm < 1)
    assert np.allclose(ssm[inside], (part.mean + part.slope * (driver - driver.mean(axis=0)))[inside])


def test_a_pixel_that_cannot_tell_gets_what_its_extent_has() -> None:
    values, driver = sample(3, missing=0)
    values[:, 0, 0] = np.nan  # nothing known
    values[2:, 0, 1] = np.nan  # two dates
    driver[:, 0, 2] = 1.5  # a single wetness
    fits = fit_pixels(values, driver, SEASONS)
    assert np.isnan(fits.slope[0]).tolist() == [True, True, True]
    found = fits.pooled(1.0, NOWHERE)
    assert np.allclose(found.slope[0], fits.extent_slope)
    assert found.mean[0, 0] == pytest.approx(np.nanmean(values))
    assert found.mean[0, 2] - found.mean[1, 1] == pytest.approx(fits.mean[0, 2] - fits.mean[1, 1])
    assert np.isfinite(found.ssm(driver)).all()


def test_an_extent_without_labels_gets_the_mean_extents_response() -> None:
    values, driver = sample(4, missing=0)
    known, other = fit_pixels(values, driver, SEASONS), fit_pixels(values / 2, driver, SEASONS)
    unknown = fit_pixels(np.full_like(values, np.nan), driver, SEASONS)
    population = Population.of([known, unknown, other])
    assert population.mean == pytest.approx(0.75 * values.mean())
    assert population.slope == pytest.approx(0.75 * known.extent_slope)
    found = unknown.pooled(0.4, population)
    assert np.allclose(found.linear(driver), population.mean + population.slope * (driver - population.centre))
    assert np.isnan(Population.of([unknown]).mean)


@pytest.mark.parametrize(("correlation", "dates"), [(-0.1, 16), (0.5, 0)])
def test_what_cannot_be_fitted_is_refused(correlation: float, dates: int) -> None:
    values, driver = sample(5)
    with pytest.raises(ValueError, match="no date to fit"):
        fit_pixels(values[:dates], driver[:dates], SEASONS[:dates], correlation)


def test_pixel_fits_know_which_pixels_have_values() -> None:
    fits = PixelFits(np.array([[0.5, np.nan]]), np.array([[np.nan, np.nan]]), np.array([[1.0, np.nan]]), 0.5)
    assert fits.known.tolist() == [[True, False]]
    assert fits.extent_slope == 0
