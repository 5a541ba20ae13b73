import numpy as np
import pytest
from scipy.stats import norm

from mlssm.retrieval.deconvolution import ATOMS, EDGES, Noise, narrowed, noise_free


def normal_noise(*sd: float) -> Noise:
    noisy = [np.diff(norm.cdf((EDGES[:, None] - ATOMS) / each), axis=0) for each in sd]
    return Noise(np.stack(noisy), np.square(sd))


def counted(values: np.ndarray) -> np.ndarray:
    """Of [date, class, value]."""
    inner = np.searchsorted(EDGES[1:-1], values)
    return (inner[..., None] == np.arange(len(ATOMS))).sum(axis=2).astype(float)


def found_of(values: np.ndarray, *sd: float) -> np.ndarray:
    return noise_free(counted(values), normal_noise(*sd), np.ones(len(values), bool))


def moments(distribution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = distribution @ ATOMS
    return mean, distribution @ ATOMS**2 - mean**2


def test_noise_is_taken_off() -> None:
    """Dates whose pixels are half at one value and half at another, and dates of one value; classes of other noise."""
    rng = np.random.default_rng(0)
    clean = np.where(rng.random((20, 2, 300)) < 0.5, 0.2, np.where(np.arange(20) % 2, 0.8, 0.2)[:, None, None])
    sd = np.array([0.1, 0.3])
    found = found_of(clean + sd[:, None] * rng.standard_normal(clean.shape), *sd)
    np.testing.assert_allclose(found.sum(axis=2), 1)
    mean, variance = moments(found)
    np.testing.assert_allclose(mean.mean(axis=1), clean.mean(axis=(1, 2)), atol=0.04)
    for one in (0, 1):
        assert variance[1::2, one].mean() == pytest.approx(0.09, abs=0.01)
        assert variance[::2, one].mean() < 0.05 * sd[1] ** 2 + 0.003


def test_few_values_are_not_taken_for_spread() -> None:
    """Ten values of each of 200 dates, all of one noise-free value; they themselves have all of the noise's spread."""
    values = 0.5 + 0.2 * np.random.default_rng(0).standard_normal((200, 1, 10))
    _, variance = moments(found_of(values, 0.2))
    assert variance.mean() < 0.2 * 0.2**2


def test_a_date_without_values_is_like_the_others() -> None:
    values = 0.4 + 0.05 * np.random.default_rng(0).standard_normal((5, 1, 500))
    counts = counted(values)
    counts[2] = 0
    mean, _ = moments(noise_free(counts, normal_noise(0.05), np.arange(5) > 0))
    assert mean[2, 0] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0])
def test_narrowed_keeps_the_mean_and_scales_the_spread(factor: float) -> None:
    density = np.exp(-((ATOMS - 0.3) ** 2) / 0.1)
    given = (density / density.sum())[None, None]
    before, after = moments(given), moments(narrowed(given, factor))
    assert after[0] == pytest.approx(before[0])
    # interpolation adds at most a quarter of a squared step
    assert after[1] == pytest.approx(factor**2 * before[1], abs=0.05**2 / 4)


def test_held_out_dates_change_nothing_on_training_dates() -> None:
    values, training = np.random.default_rng(0).normal(0.4, 0.2, (6, 2, 200)), np.arange(6) < 4
    other = np.where(training[:, None, None], values, 0.9)
    noise = normal_noise(0.1, 0.2)
    one, two = (noise_free(counted(each), noise, training) for each in (values, other))
    np.testing.assert_array_equal(one[training], two[training])
    assert np.abs(one - two)[~training].max() > 0.1
