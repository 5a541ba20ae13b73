from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.uncertainty.support import Support, block_means
from mlssm.uncertainty.tally import SUPPORT, IntervalTally, Told

Maps = Callable[..., list[HeldOutMap]]


def test_block_means_are_those_of_known_pixels_where_half_are() -> None:
    values = np.array([[1, 2, 5, np.nan, 9], [3, 4, np.nan, np.nan, 9], [0, np.nan, 1, 1, 9]], float)
    assert np.array_equal(block_means(values, 2), [[2.5, np.nan]], equal_nan=True)
    assert np.array_equal(block_means(values, 1), values, equal_nan=True)


def test_independent_errors_average_out_and_common_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    alone = Support.fit([[rng.normal(size=(64, 64))] for _ in range(200)])
    assert alone.pixels.tolist() == [1, 4, 16, 64, 256]
    assert alone.share == pytest.approx(1 / alone.pixels, rel=0.05)
    common = Support.fit([[np.full((32, 32), rng.normal())] for _ in range(3)])
    assert common.share == pytest.approx(np.full(5, common.share[0]))
    half = Support.fit([[0.6 * rng.normal() + 0.8 * rng.normal(size=(32, 32))] for _ in range(600)])
    assert half.of(256) == pytest.approx(0.36 + 0.64 / 256, rel=0.17)  # three errors of a variance: 3 sqrt(2 / 600)


def test_it_is_interpolated_in_the_logarithm_and_held_beyond() -> None:
    found = Support(np.array([1.0, 4, 16]), np.array([1.0, 0.6, 0.4]))
    assert found.of(8) == pytest.approx(0.5)
    assert found.of(np.array([1, 2, 1000])) == pytest.approx([1, 0.8, 0.4])
    with pytest.raises(ValueError, match="1 pixel or more, not 0"):
        found.of(0)


def test_small_extents_are_measured_as_far_as_they_reach() -> None:
    assert Support.fit([[np.ones((5, 5))]]).pixels.tolist() == [1, 4, 16]


def test_means_of_new_dates_are_covered_where_independent_errors_would_not_be(made_up: Maps) -> None:
    calibration = Calibration.fit(made_up(200, 1, size=0.05), [2020], "")
    told = Told(0.9, (), 125.0, 1, 0)
    tally = IntervalTally.of(calibration, made_up(300, 2, size=0.05), told)
    n, covered, *_ = tally.groups[SUPPORT][:, 1].sum(axis=0)  # 8 pixels of 125 m
    assert n == 300 * 4
    # three Monte-Carlo errors: of 300 dates that each are covered or not, and of a variance from 200 dates
    assert covered / n == pytest.approx(0.9, abs=0.08)
    alone = replace(calibration, support=Support(calibration.support.pixels, 1 / calibration.support.pixels))
    n, covered, *_ = IntervalTally.of(alone, made_up(300, 2, size=0.05), told).groups[SUPPORT][:, 1].sum(axis=0)
    assert covered / n < 0.5
    assert calibration.mean_deviation(np.array(0.1), 64) > 0.1 * np.sqrt(1 / 64) * 4
    above = calibration.mean_exceedance(np.array([0.4, 0.6]), np.array([0.1, 0.1]), 64, 0.6)
    assert above[0] < 0.1
    assert above[1] == pytest.approx(0.5)
