import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from mlssm.uncertainty.applicability import Applicability

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(120, 5)).astype(np.float32)
GROUPS = np.repeat(np.arange(4), 30)


@pytest.fixture(scope="module")
def found() -> Applicability:
    made = Applicability.fit("abcde", POINTS, GROUPS)
    assert made is not None
    return made


def test_the_index_is_the_nearest_distance_in_mean_distances(found: Applicability) -> None:
    new = RNG.normal(size=(200, 5)).astype(np.float32)
    expected = cdist(new, POINTS).min(axis=1) / pdist(POINTS).mean()
    assert found.index(new) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_threshold_is_the_upper_whisker_of_held_out_groups(found: Applicability) -> None:
    indices = (
        np.concatenate([cdist(POINTS[GROUPS == g], POINTS[GROUPS != g]).min(axis=1) for g in range(4)])
        / pdist(POINTS).mean()
    )
    lower, upper = np.percentile(indices, [25, 75])
    assert found.threshold == pytest.approx(indices[indices <= upper + 1.5 * (upper - lower)].max())


def test_training_pixels_are_inside_and_far_ones_outside(found: Applicability) -> None:
    assert (found.index(POINTS) < 1e-2).all()
    far = POINTS + np.array([6, 0, 0, 0, 0], np.float32)
    assert (found.index(far) > found.threshold).mean() > 0.9


def test_a_missing_feature_is_not_judged(found: Applicability) -> None:
    assert np.isnan(found.index(np.full((1, 5), np.nan, np.float32))).all()


def test_one_group_or_pixels_that_are_all_alike_cannot_tell() -> None:
    assert Applicability.fit("abcde", POINTS, np.zeros(120, int)) is None
    assert Applicability.fit("abcde", np.ones((120, 5), np.float32), GROUPS) is None


def test_it_comes_back_from_its_state(found: Applicability) -> None:
    again = Applicability.restored(found.state())
    assert again.features == tuple("abcde")
    assert again.index(POINTS[:5] + 1) == pytest.approx(found.index(POINTS[:5] + 1))


def test_a_bound_tells_the_same_pixels_apart_as_the_index() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(300, 5)).astype(np.float32)
    fitted = Applicability.fit(list("abcde"), points, np.arange(300) % 4)
    assert fitted is not None
    values = np.concatenate([rng.normal(size=(500, 5)), rng.normal(size=(200, 5)) * 3]).astype(np.float32)
    values[7, 2] = np.nan
    index, bound = fitted.index(values), fitted.bounded_index(values)
    outside = index > fitted.threshold
    assert 0.05 < outside.mean() < 0.9
    np.testing.assert_array_equal(bound > fitted.threshold, outside)
    np.testing.assert_array_equal(bound[outside], index[outside])
    inside = index <= fitted.threshold
    assert (bound[inside] >= index[inside] - 1e-6).all()
    assert (bound[inside] <= fitted.threshold).all()
    np.testing.assert_array_equal(np.isnan(bound), np.isnan(index))
