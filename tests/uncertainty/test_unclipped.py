from collections.abc import Callable

import numpy as np
import pytest

from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.uncertainty.shape import GaussianShape, Shape
from mlssm.uncertainty.unclipped import Unclipped

Maps = Callable[..., list[HeldOutMap]]


@pytest.mark.parametrize("dates", [20, 80])  # a Gaussian, and a table
def test_the_deviation_is_found_back(made_up: Maps, dates: int) -> None:
    shape: Shape = Calibration.fit(made_up(dates, 0), [2020], "").shape
    rng = np.random.default_rng(0)
    mean, deviation = rng.random(2000), rng.uniform(0.02, 0.5, 2000)
    found = Unclipped.of(shape).deviation(mean, shape.deviation(mean, deviation))
    np.testing.assert_allclose(found, deviation, rtol=0.03)


def test_far_from_the_ends_nothing_is_clipped() -> None:
    found = Unclipped.of(GaussianShape()).deviation(np.array([0.5, 0.4]), np.array([0.05, 0.08]))
    np.testing.assert_allclose(found, [0.05, 0.08], rtol=1e-3)


def test_at_an_end_half_is_clipped() -> None:
    # of max(0, N(0, s^2)) the variance is s^2 (1/2 - 1 / (2 pi))
    error = 0.1 * np.sqrt(0.5 - 0.5 / np.pi)
    found = Unclipped.of(GaussianShape()).deviation(np.array([0.0, 1.0]), np.array([error, error]))
    np.testing.assert_allclose(found, 0.1, rtol=1e-3)


def test_an_error_larger_than_any_is_given_the_largest_deviation() -> None:
    assert Unclipped.of(GaussianShape()).deviation(np.array([0.5]), np.array([0.6])) == pytest.approx(2)
