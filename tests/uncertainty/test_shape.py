import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlssm.uncertainty.shape import LEVELS, GaussianShape, Shape, TableShape, restored_shape

GAUSSIAN = GaussianShape()


@pytest.fixture(scope="module")
def table() -> TableShape:
    """Of skewed residuals, more so where it is wet."""
    rng = np.random.default_rng(0)
    mean = rng.random(4000)
    return TableShape.fit((1 + mean) * (rng.gamma(2, 1, 4000) - 2), mean, np.full(4000, 1 / 4000))


def test_the_gaussian_is_scipys() -> None:
    z = np.linspace(-3, 3, 7)
    assert GAUSSIAN.rank(z, np.zeros(7)) == pytest.approx(stats.norm.cdf(z))
    assert GAUSSIAN.quantile(0.95, np.zeros(2)) == pytest.approx([stats.norm.ppf(0.95)] * 2)


@pytest.mark.parametrize("mean", [0.0, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("scale", [0.02, 0.2, 1.0])
def test_the_clipped_gaussians_deviation_is_that_of_draws(mean: float, scale: float) -> None:
    draws = np.clip(mean + scale * stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000), 0, 1)
    assert GAUSSIAN.deviation(np.array(mean), np.array(scale)) == pytest.approx(draws.std(), rel=1e-3)


def test_a_table_of_gaussian_residuals_is_nearly_the_gaussian() -> None:
    mean = np.tile(np.linspace(0, 1, 50), 400)
    z = np.repeat(stats.norm.ppf((np.arange(400) + 0.5) / 400), 50)
    table = TableShape.fit(z, mean, np.full(len(z), 1 / len(z)))
    at = np.array([0.1, 0.5, 0.9])
    for level in (0.05, 0.3, 0.5, 0.95):
        assert table.quantile(level, at) == pytest.approx(GAUSSIAN.quantile(level, at), abs=0.03)
    assert table.deviation(at, np.full(3, 0.2)) == pytest.approx(GAUSSIAN.deviation(at, np.full(3, 0.2)), rel=0.02)


def test_a_node_looks_at_pixels_of_its_own_wetness(table: TableShape) -> None:
    dry, wet = table.quantile(0.95, np.array([0.1, 0.9]))
    true = stats.gamma.ppf(0.95, 2) - 2
    assert dry == pytest.approx(1.1 * true, rel=0.1)
    assert wet == pytest.approx(1.9 * true, rel=0.1)


@given(st.floats(LEVELS[0], LEVELS[-1]), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_ranks_are_the_inverse_of_quantiles(table: TableShape, level: float, mean: float) -> None:
    at = np.array(mean)
    assert table.rank(table.quantile(level, at), at) == pytest.approx(level, abs=1e-6)


@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_ranks_rise(table: TableShape, one: float, other: float, mean: float) -> None:
    for shape in (table, GAUSSIAN):
        low, high = shape.rank(np.sort([one, other]), np.full(2, mean))
        assert 0 <= low <= high <= 1


@pytest.mark.parametrize("name", ["table", "gaussian"])
def test_a_shape_comes_back_from_its_state(table: TableShape, name: str) -> None:
    shape: Shape = table if name == "table" else GAUSSIAN
    mean = np.linspace(0, 1, 9)
    assert restored_shape(shape.state()).quantile(0.9, mean) == pytest.approx(shape.quantile(0.9, mean))
