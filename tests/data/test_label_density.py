import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from mlssm.config import SamplerConfig
from mlssm.data.label_density import BINS, label_density, label_histograms, rarity_weights

MIDDLES = (np.arange(BINS) + 0.5) / BINS


def sampler(**changes: object) -> SamplerConfig:
    return SamplerConfig(name="density", **changes)


@pytest.fixture
def counts() -> np.ndarray:
    """Many dry labels, few wet ones, none in between."""
    ssm = np.concatenate([np.random.default_rng(0).beta(2, 8, 4000), np.random.default_rng(1).uniform(0.8, 1, 60)])
    return np.histogram(ssm, BINS, (0, 1))[0]


def test_histograms_count_the_labels_of_each_patch_and_read_each_extent_and_time_once() -> None:
    rng, read = np.random.default_rng(0), []
    maps = {(extent, time): rng.random((20, 15)).astype(np.float32) for extent in range(2) for time in range(3)}
    for ssm in maps.values():
        ssm[rng.random(ssm.shape) < 0.3] = np.nan
        ssm[0, 0], ssm[0, 1] = 0, 1
    places = [(extent, time, row, col) for extent, time in maps for row in (0, 7, 16) for col in (0, 9)]
    patches = pd.DataFrame(rng.permutation(places), columns=["extent", "time", "row", "col"])

    def labels(extent: int, time: int) -> np.ndarray:
        read.append((extent, time))
        return maps[extent, time]

    found = label_histograms(patches, 7, labels)
    assert sorted(read) == sorted(maps)
    for counted, (extent, time, row, col) in zip(found, patches.itertuples(index=False), strict=True):
        ssm = maps[extent, time][row : row + 7, col : col + 7].astype(float)
        np.testing.assert_array_equal(counted, np.histogram(ssm[np.isfinite(ssm)], BINS, (0, 1))[0])


@pytest.mark.parametrize("bandwidth", [0.02, 0.05, 0.2])
def test_density_is_a_sum_of_gaussians_mirrored_at_0_and_1(counts: np.ndarray, bandwidth: float) -> None:
    mirrored = np.concatenate([MIDDLES + 2 * k for k in range(-2, 3)] + [-MIDDLES + 2 * k for k in range(-2, 3)])
    kernels = norm.pdf(MIDDLES[:, None], mirrored, bandwidth)
    wanted = kernels @ np.tile(counts, 10)
    found = label_density(counts, bandwidth)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, wanted / wanted.sum(), rtol=2e-3, atol=2e-6)


def test_dense_weight_is_its_formula(counts: np.ndarray) -> None:
    density, there = label_density(counts, 0.05), counts > 0
    least, most = density[there].min(), density[there].max()
    for alpha in (0.5, 1.0, 2.0):
        found = rarity_weights(counts, sampler(alpha=alpha))
        raw = [max(1 - alpha * (p - least) / (most - least), 1e-6) for p in density]
        np.testing.assert_allclose(found[there] / found[there].max(), np.array(raw)[there], rtol=1e-9)
        assert np.average(found, weights=counts) == pytest.approx(1)
        assert (found[~there] == 0).all()


def test_lds_makes_labels_uniform_where_nothing_is_smoothed(counts: np.ndarray) -> None:
    weighted = rarity_weights(counts, sampler(weighting="lds", bandwidth=1e-4)) * counts
    np.testing.assert_allclose(weighted[counts > 0], counts.sum() / (counts > 0).sum())
    root = rarity_weights(counts, sampler(weighting="lds", alpha=0.5, bandwidth=1e-4))
    np.testing.assert_allclose(
        root[counts > 0] * np.sqrt(counts[counts > 0]), root.max() * np.sqrt(counts[root.argmax()])
    )


@pytest.mark.parametrize("weighting", ["dense_weight", "lds"])
def test_alpha_0_and_equally_frequent_labels_weigh_the_same(counts: np.ndarray, weighting: str) -> None:
    np.testing.assert_allclose(rarity_weights(counts, sampler(weighting=weighting, alpha=0))[counts > 0], 1)
    np.testing.assert_allclose(rarity_weights(np.full(BINS, 7), sampler(weighting=weighting)), 1)
