"""The parts that the error of labels is learnt by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.retrieval.courses import Amplitudes, principal_courses
from mlssm.retrieval.label_error import BINS, LabelError, label_bin
from mlssm.retrieval.sample import neighbourhoods


def test_bins_of_labels() -> None:
    """Clipped labels have bins of their own, those between equal ones."""
    labels = np.array([0, 0.001, 0.099, 0.101, 0.5, 0.999, 1])
    np.testing.assert_array_equal(label_bin(labels), [0, 1, 1, 2, 6, BINS - 2, BINS - 1])


@given(st.floats(0, 1))
def test_every_label_has_a_bin(label: float) -> None:
    (found,) = label_bin(np.array([label]))
    assert (found == 0) == (label == 0)
    assert (found == BINS - 1) == (label == 1)
    assert 0 <= found < BINS


def test_the_standard_error_is_read_by_date_distance_and_label() -> None:
    table = np.arange(2 * 2 * BINS, dtype=np.float32).reshape(2, 2, BINS)
    errors = LabelError(table, np.array([5.0]))
    ssm = np.array([[[0.0, 1.0, np.nan]]], np.float32)
    found = errors.of(np.array([1]), ssm, np.array([[[4.0, 6.0, 6.0]]]))
    np.testing.assert_array_equal(found, [[[table[1, 0, 0], table[1, 1, BINS - 1], np.nan]]])


@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_a_course_is_found_as_well_as_theory_says(noise: float) -> None:
    """One course of known strength in white noise: its mean square, and the share of it that is found."""
    rng = np.random.default_rng(0)
    dates, series = 60, 400
    course = rng.standard_normal(dates)
    course -= course.mean()
    course /= np.linalg.norm(course)
    weights = rng.gamma(4, 1, series)
    values = np.outer(course, weights) + rng.normal(0, np.sqrt(noise), (dates, series))
    found, strength = principal_courses(values - values.mean(axis=0), noise)
    squared = (weights**2).mean()
    assert strength[0] == pytest.approx(squared, rel=0.1)
    signal = squared * series
    cosine = (signal**2 - dates * series * noise**2) / (signal**2 + dates * noise * signal)
    assert (found[:, 0] @ course) ** 2 == pytest.approx(cosine, abs=0.03)
    assert found[:, 0] @ course > 0


def test_white_noise_has_one_course_at_most() -> None:
    """One is always kept; none other is taken for signal."""
    values = np.random.default_rng(1).normal(0, 1, (50, 300))
    found, strength = principal_courses(values, 1.0)
    assert found.shape == (50, 1)
    assert strength[0] < 0.2


def test_amplitudes_are_distributed_as_those_that_were_measured() -> None:
    """Posterior draws have the spread of the truth, posterior means less, the measurements more."""
    rng = np.random.default_rng(2)
    truth = rng.gamma(9, 0.2, 4000)
    variance = np.full(4000, 0.3)
    measured = truth + rng.normal(0, np.sqrt(variance))
    found = Amplitudes.of(measured, variance)
    drawn = found.draw(np.random.default_rng(3))
    assert drawn.std() == pytest.approx(truth.std(), rel=0.08)
    assert drawn.mean() == pytest.approx(truth.mean(), rel=0.03)
    assert found.mean.std() < 0.9 * truth.std() < truth.std() < measured.std()
    assert np.mean((found.mean - truth) ** 2) < np.mean((measured - truth) ** 2)


def test_neighbourhoods_share_no_pixel_and_lie_inside() -> None:
    rows, cols = neighbourhoods((20, 13), 2, 3)
    places = list(zip(rows.ravel(), cols.ravel(), strict=True))
    assert len(set(places)) == len(places)
    assert rows.max() < 20
    assert cols.max() < 13
    assert rows.shape[1] == 4
    np.testing.assert_array_equal(np.sort(np.unique(rows[0])), [0, 3])
