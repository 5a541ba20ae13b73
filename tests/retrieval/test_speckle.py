import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve

from mlssm.errors import DataError
from mlssm.retrieval.noise import Speckle, estimate_speckle, looks_of_variance_db, speckle_cdf_db, speckle_variance_db


def gamma_db(looks: float, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return 10 * np.log10(np.random.default_rng(seed).gamma(looks, 1 / looks, shape))


@pytest.mark.parametrize("looks", [1, 4.4, 12, 250])
def test_variance_is_that_of_a_gamma_sample_in_decibels(looks: float) -> None:
    sample = gamma_db(looks, (400_000,))
    assert float(speckle_variance_db(looks)) == pytest.approx(sample.var(), rel=0.02)


def test_one_look_is_the_known_5_57_db() -> None:
    """Ulaby & Long: single-look speckle has a standard deviation of 5.57 dB, whatever the mean."""
    assert np.sqrt(speckle_variance_db(1)) == pytest.approx(5.57, abs=0.005)


@given(st.floats(0.1, 1e6))
def test_looks_of_their_own_variance(looks: float) -> None:
    assert looks_of_variance_db(float(speckle_variance_db(looks))) == pytest.approx(looks, rel=1e-6)


@pytest.mark.parametrize("looks", [3, 12, 40])
def test_looks_of_independent_pixels_are_recovered(looks: float) -> None:
    """Texture and a common change of moisture must not be taken for noise."""
    rng = np.random.default_rng(1)
    scene = rng.normal(-12, 3, (1, 90, 90)) + rng.normal(0, 2, (8, 1, 1))
    found = estimate_speckle(scene + gamma_db(looks, (8, 90, 90)))
    assert found.looks == pytest.approx(looks, rel=0.1)
    np.testing.assert_allclose(found.correlation, 0, atol=0.06)


def test_correlation_of_a_known_kernel_is_recovered() -> None:
    """Power smoothed by [1 2 1] / 4 along the rows: correlation 2/3 beside, looks times 16/6, nothing above."""
    power = np.random.default_rng(2).gamma(20, 1 / 20, (8, 120, 120))
    smooth = convolve(power, np.array([[[1.0, 2, 1]]]) / 4, mode="wrap")
    found = estimate_speckle(10 * np.log10(smooth))
    assert found.looks == pytest.approx(20 * 16 / 6, rel=0.1)
    np.testing.assert_allclose(found.correlation, (2 / 3, 0, 0), atol=0.06)


def test_variance_of_a_multilooked_sample_of_correlated_pixels() -> None:
    """Against the averages themselves: 5 x 5 blocks of power that was smoothed by a 2 x 2 box."""
    power = np.random.default_rng(3).gamma(8, 1 / 8, (40, 100, 100))
    smooth = convolve(power, np.ones((1, 2, 2)) / 4, mode="wrap")
    speckle = Speckle(32, (0.5, 0.5, 0.25))
    blocks = 10 * np.log10(smooth.reshape(40, 20, 5, 20, 5).mean(axis=(2, 4)))
    assert float(speckle_variance_db(speckle.sample_looks(5, 25))) == pytest.approx(blocks.var(), rel=0.06)
    assert float(speckle_variance_db(Speckle(32).sample_looks(5, 25))) < 0.5 * blocks.var()


def test_fewer_pixels_in_a_sample_have_fewer_looks() -> None:
    np.testing.assert_allclose(Speckle(10).sample_looks(5, np.array([25, 10, 1])), [250, 100, 10])


def test_too_few_pixels_and_no_noise_are_refused() -> None:
    with pytest.raises(DataError, match=r"too few to estimate looks; set datamodule.backscatter.looks"):
        estimate_speckle(gamma_db(4, (2, 9, 9)))
    with pytest.raises(DataError, match=r"no noise to estimate looks from; set datamodule.backscatter.looks"):
        estimate_speckle(np.zeros((5, 40, 40)))


@pytest.mark.parametrize("looks", [4, 50])
def test_the_distribution_of_speckle_is_that_of_draws(looks: float) -> None:
    draws = 10 * np.log10(np.random.default_rng(0).gamma(looks, 1 / looks, 200_000))
    draws -= draws.mean()
    at = np.array([-np.inf, -3, -1, 0, 0.5, 2, np.inf])
    np.testing.assert_allclose(speckle_cdf_db(at, looks), (draws[:, None] < at).mean(axis=0), atol=0.005)
