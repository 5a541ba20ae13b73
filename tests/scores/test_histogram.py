import numpy as np
import pytest

from mlssm.scores.histogram import DensityHistogram


def test_batches_add_up_to_one_histogram_of_numpy() -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.random((2, 6, 5, 5)).astype(np.float32)
    target[0, 0, 0] = np.nan
    histogram = DensityHistogram(7)
    for pair in zip(prediction, target, strict=True):
        histogram.add(*pair)
    valid = ~np.isnan(target)
    expected, _, _ = np.histogram2d(prediction[valid], target[valid], bins=7, range=[(0, 1), (0, 1)])
    np.testing.assert_array_equal(histogram.counts, expected)
    assert histogram.n == valid.sum()


def test_rows_are_predictions_and_the_ends_of_the_range_are_counted() -> None:
    histogram = DensityHistogram(2)
    histogram.add(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(histogram.counts, [[0, 1], [0, 1]])


def test_only_masked_pixels_leave_it_empty() -> None:
    histogram = DensityHistogram(3)
    histogram.add(np.full(4, np.nan), np.full(4, 0.5))
    assert histogram.n == 0


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.inf])
def test_values_out_of_range_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        DensityHistogram(3).add(np.array([bad]), np.array([0.5]))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        DensityHistogram(3).add(np.zeros(2), np.zeros((2, 1)))


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 bin"):
        DensityHistogram(0)
