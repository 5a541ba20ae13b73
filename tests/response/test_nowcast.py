"""What earlier images add, by hand and by what must not matter."""

import numpy as np
import pytest

from mlssm.response.nowcast import Earlier, Moment, Persistence, centred

DAYS = np.array(["2022-11-02", "2022-11-14", "2022-11-14", "2022-12-20", "2023-10-04"], "datetime64[D]")
SEASONS = np.array([2022, 2022, 2022, 2022, 2023])
DRIVER = np.array([0.5, 2.0, 2.0, 1.0, 0.3])[:, None, None]
MOMENTS = Moment.all(DAYS, SEASONS, DRIVER)


def images(seed: int = 0) -> Earlier:
    residual = np.random.default_rng(seed).normal(0, 0.3, (5, 3, 2))
    residual[0, 0, 0] = np.nan
    residual[:, 2, 1] = np.nan
    return Earlier(residual, MOMENTS, 1.2)


def test_images_weigh_by_their_age_and_how_much_as_wet_they_were() -> None:
    earlier = images()
    found = earlier.carry(MOMENTS[3])
    weights = [np.exp(-age / 30 - apart / 1.2) for age, apart in ((48, 0.5), (36, 1.0), (36, 1.0))]
    residual = earlier.residual[:3, 1, 1]
    assert found.mean[1, 1] == pytest.approx(weights @ residual / (sum(weights) + 0.5))
    assert found.last[1, 1] == residual[2]
    assert found.age[1, 1] == 36
    without_first = weights[1] * earlier.residual[1, 0, 0] + weights[2] * earlier.residual[2, 0, 0]
    assert found.mean[0, 0] == pytest.approx(without_first / (weights[1] + weights[2] + 0.5))


def test_with_an_infinite_scale_age_alone_decides() -> None:
    earlier = Earlier(images().residual, MOMENTS, np.inf)
    weights = np.exp(-np.array([48, 36, 36]) / 30)
    expected = weights @ earlier.residual[:3, 1, 1] / (weights.sum() + 0.5)
    assert earlier.carry(MOMENTS[3]).mean[1, 1] == pytest.approx(expected)


@pytest.mark.parametrize(("to", "used"), [(0, []), (1, [0]), (2, [0]), (3, [0, 1, 2]), (4, [])])
def test_neither_the_same_date_nor_a_later_one_nor_another_season_is_used(to: int, used: list[int]) -> None:
    earlier = images()
    changed = earlier.residual.copy()
    changed[[i for i in range(5) if i not in used]] = 9.0
    before, after = earlier.carry(MOMENTS[to]), Earlier(changed, MOMENTS, 1.2).carry(MOMENTS[to])
    for left, right in zip((before.mean, before.last, before.age), (after.mean, after.last, after.age), strict=True):
        assert np.array_equal(left, right)
    if used:
        changed = np.where(np.arange(5)[:, None, None] == used[-1], 9.0, earlier.residual)
        assert not np.array_equal(Earlier(changed, MOMENTS, 1.2).carry(MOMENTS[to]).mean, before.mean)


def test_without_an_earlier_image_nothing_is_added() -> None:
    found = images().carry(MOMENTS[0])
    assert not found.mean.any()
    assert not found.last.any()
    assert np.isinf(found.age).all()
    assert found.known == 0
    assert images().carry(MOMENTS[3]).known == pytest.approx(5 / 6)  # one pixel never had a label


def test_what_an_extent_shares_on_a_date_is_not_carried() -> None:
    labels, forecast = np.random.default_rng(0).random((2, 5, 3, 2))
    labels[0, 0, 0] = np.nan
    left, right = (Earlier.of(each, forecast, MOMENTS, 1.2) for each in (labels, labels + DRIVER))
    assert np.allclose(left.residual, right.residual, equal_nan=True)
    assert np.nanmean(centred(labels - forecast), axis=(1, 2)) == pytest.approx(np.zeros(5))


def test_phi_is_the_least_squares_share() -> None:
    rng = np.random.default_rng(0)
    carried, residual = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 2))
    residual += 0.7 * carried
    residual[0, 1, 1] = np.nan
    known = np.isfinite(residual)
    expected = np.linalg.lstsq(carried[known][:, None], residual[known], rcond=None)[0][0]
    total = Persistence()
    for pair in zip(carried, residual, strict=True):
        total += Persistence.of(*pair)
    assert total.phi == pytest.approx(expected)
    assert Persistence().phi == 0
    assert Persistence(-1.0, 2.0).phi == 0
