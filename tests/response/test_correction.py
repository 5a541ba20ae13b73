"""The correction's regression and features against other libraries and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from mlssm.response.base import Population, fit_pixels
from mlssm.response.correction import Moments, corrected, ridge
from mlssm.response.folds import Retrieved
from mlssm.response.surroundings import smoothed
from mlssm.response.traits import Traits, expected_clipped

SEASONS = np.repeat([2020, 2021], 5)
TRAINING = np.arange(10) < 8


def parts(seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and residuals of three dates, some without a label."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(3):
        features = rng.normal(2, 5, (4, 6, 5)) * np.array([1, 10, 0.1, 1])[:, None, None]
        residual = 0.3 * features[0] - 0.01 * features[1] + rng.normal(0, 1, (6, 5))
        found.append((features, np.where(rng.random((6, 5)) < 0.2, np.nan, residual)))
    return found


@pytest.mark.parametrize("penalty", [0.01, 0.5, 8.0])
def test_ridge_is_scikit_learns_on_standardised_features(penalty: float) -> None:
    found = parts()
    x = np.concatenate([features[:, np.isfinite(residual)].T for features, residual in found])
    y = np.concatenate([residual[np.isfinite(residual)] for _, residual in found])
    scaler = StandardScaler().fit(x)
    expected = Ridge(alpha=penalty * len(x)).fit(scaler.transform(x), y).coef_ / scaler.scale_
    weights = ridge(Moments.total([Moments.of(*each) for each in found]), penalty)
    assert weights == pytest.approx(expected, rel=1e-6)


def test_the_squared_error_needs_but_the_sums() -> None:
    found, weights = parts(), np.array([0.2, -0.01, 3.0, 0.1])
    errors = [residual - np.tensordot(weights, features, 1) for features, residual in found]
    expected = sum(np.nansum(error**2) for error in errors)
    assert Moments.total([Moments.of(*each) for each in found]).squared_error(weights) == pytest.approx(expected)


def test_a_feature_that_does_not_vary_weighs_nothing() -> None:
    features, residual = parts()[0]
    features[2] = 3.0
    weights = ridge(Moments.of(features, residual), 0.5)
    assert weights[2] == 0
    assert weights[0] != 0


def test_without_samples_there_is_nothing_to_fit() -> None:
    features, residual = parts()[0]
    with pytest.raises(ValueError, match="needs samples"):
        ridge(Moments.of(features, np.full_like(residual, np.nan)), 0.5)
    with pytest.raises(ValueError, match="penalty above 0"):
        ridge(Moments.of(features, residual), 0.0)


def test_a_corrected_forecast_stays_within_bounds() -> None:
    features = np.array([[[1.0, -1.0, 0.1]]])
    assert corrected(np.array([[0.8, 0.2, 0.5]]), 0.5 * features[0]).tolist() == [[1.0, 0.0, 0.55]]


@given(st.floats(-2, 3), st.floats(0.05, 3))
def test_the_expected_clipped_value_is_its_integral(mean: float, deviation: float) -> None:
    inside, _ = quad(lambda x: x * norm.pdf(x, mean, deviation), 0, 1)
    expected = inside + norm.sf(1, mean, deviation)
    assert float(expected_clipped(np.array(mean), np.array(deviation))) == pytest.approx(expected, abs=1e-6)


def test_without_scatter_it_is_the_clipped_mean() -> None:
    mean = np.array([-0.5, 0.25, 2.0])
    assert expected_clipped(mean, np.zeros(3)) == pytest.approx([0, 0.25, 1])


@pytest.mark.parametrize("size", [1, 3, 5])
def test_smoothing_averages_known_neighbours(size: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((9, 8))
    values[rng.random((9, 8)) < 0.3] = np.nan
    values[:4, :4] = np.nan
    half = size // 2
    around = np.pad(values, half, mode="edge")
    expected = np.full((9, 8), np.nan)
    for row in range(9):
        for col in range(8):
            window = around[row : row + size, col : col + size]
            if np.isfinite(window).any():
                expected[row, col] = np.nanmean(window)
    assert np.allclose(smoothed(values, size), expected, equal_nan=True)


def extent(seed: int = 0, ratio: bool = True) -> tuple[Retrieved, np.ndarray]:
    rng = np.random.default_rng(seed)
    driver = rng.gamma(1, 2, (10, 1, 1))
    relative = rng.normal(0.5, 0.4, (10, 8, 7)) + 0.1 * driver
    relative[:, 0, 0] = np.nan
    maps = rng.uniform(1, 5, (4, 8, 7))
    return Retrieved(relative, maps[0], -maps[1] - 8, maps[2], -maps[3] if ratio else None), driver


def traits(found: Retrieved, driver: np.ndarray) -> Traits:
    fits = fit_pixels(found.ssm[TRAINING], driver[TRAINING], SEASONS[TRAINING])
    base = fits.pooled(0.4, Population.of([fits]))
    return Traits.of(found, base, driver, TRAINING, SEASONS, pixel_m=150)


def test_features_lie_around_the_extents_mean_of_the_date() -> None:
    found, driver = extent()
    features = traits(found, driver).features(driver[9])
    assert np.abs(features.mean(axis=(1, 2))).max() < 1e-12
    half = len(features) // 2
    # the second half is the first times the driver's anomaly; of fixed traits that is one number for the extent
    fixed = slice(2, half)
    anomaly = driver[9] - driver[TRAINING].mean()
    assert np.allclose(features[half:][fixed], features[fixed] * anomaly)


def test_held_out_dates_change_no_trait() -> None:
    found, driver = extent()
    changed = found.relative.copy()
    changed[~TRAINING] = 7
    other = Retrieved(changed, found.span, found.level, found.spread, found.ratio)
    assert np.array_equal(traits(found, driver).features(driver[9]), traits(other, driver).features(driver[9]))


def test_noise_is_what_the_driver_leaves_of_the_training_dates() -> None:
    found, driver = extent()
    made = traits(found, driver)
    left = found.relative[TRAINING] - made.relative.linear(driver[TRAINING])
    assert made.noise[3, 3] == pytest.approx(np.sqrt((left[:, 3, 3] ** 2).sum() / 6))
    assert np.isnan(made.noise[0, 0])
    assert made.features(driver[9])[0, 0, 0] == 0  # an unknown trait is the extent's mean


def test_without_the_other_polarisation_its_trait_is_left_out() -> None:
    (both, driver), (one, _) = extent(), extent(ratio=False)
    assert set(traits(both, driver).names) - set(traits(one, driver).names) == {"cross-polarised"}
