"""Weights of drivers, and the rule that says when there are any."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from mlssm.response.bank import MANY_DATES, Bank, mean_bank, weighs_bank
from mlssm.response.closed_form import ClosedForm
from mlssm.response.fitted import Extent, Settings
from mlssm.response.weighing import SquaredErrors, Weighing, bank_weights, drive


def errors(seed: int = 0) -> SquaredErrors:
    rng = np.random.default_rng(seed)
    count = rng.integers(20, 60, (4, 3)).astype(float)
    return SquaredErrors(rng.uniform(0.01, 0.02, (5, 4, 3)) * count, count)


def test_weights_are_the_evidence_of_errors_half_pooled() -> None:
    given = errors()
    own = np.log(given.total / given.count)
    pooled = 0.5 * own + 0.5 * own.mean(axis=(1, 2), keepdims=True)
    assert np.allclose(bank_weights(given), softmax(-30 * pooled, axis=0))


def test_a_pixel_without_labels_gets_its_extents_weights_and_an_extent_without_equal_ones() -> None:
    given = errors()
    given.count[0, 0], given.total[:, 0, 0] = 0, 0
    extent = np.log(given.total / np.where(given.count > 0, given.count, np.nan)).reshape(5, -1)[:, 1:].mean(axis=1)
    assert np.allclose(bank_weights(given)[:, 0, 0], softmax(-30 * extent))
    assert np.allclose(bank_weights(SquaredErrors(np.zeros((5, 2, 2)), np.zeros((2, 2)))), 0.2)


def wet(made_up: Any, dates: int) -> tuple[Any, dict[str, Callable[[], np.ndarray]]]:
    """An extent, and a bank of noise with its true driver in the middle."""
    extent = made_up(dates)
    others = np.random.default_rng(1).gamma(1, 1, (2, *extent.driver.shape))
    return extent, {"noise": lambda: others[0], "true": lambda: 3 * extent.driver + 5, "other": lambda: others[1]}


@pytest.mark.parametrize(("dates", "many"), [(MANY_DATES - 1, False), (MANY_DATES, True), (22, False), (122, True)])
def test_few_dates_fix_the_driver_and_many_weigh_a_bank(dates: int, many: bool) -> None:
    assert weighs_bank(dates) is many


def test_the_rule_decides_what_drives(made_up: Any) -> None:
    for dates in (6, 20):
        extent, maps = wet(made_up, dates)
        training = extent.seasons < 2023
        driven = drive(extent.retrieve, extent.driver, maps, training, extent.seasons)
        assert (driven.bank is not None) is bool(training.sum() >= MANY_DATES)
        if driven.bank is None:
            assert driven.whole is extent.driver
            assert driven.of(2020) is extent.driver


def test_the_true_driver_gets_the_weight(made_up: Any) -> None:
    extent, maps = wet(made_up, 20)
    training = extent.seasons < 2023
    driven = drive(extent.retrieve, extent.driver, maps, training, extent.seasons)
    assert driven.bank is not None
    assert driven.bank.names == ("true",)
    known = extent.driver[training]
    standardised = (extent.driver - known.mean()) / known.std()
    assert np.allclose(driven.whole, standardised)
    assert set(driven.without) == {2020, 2021, 2022}
    fixed, weighed = (
        ClosedForm.fit([Extent(extent.retrieve, each, 150)], extent.dates, training, Settings()).forecasts(0)
        for each in (extent.extent.driven, driven)
    )
    assert np.allclose(fixed, weighed)  # a response is the same whatever units its driver has


def test_a_seasons_own_errors_do_not_weigh_its_drivers(made_up: Any) -> None:
    extent, maps = wet(made_up, 6)
    maps["other"] = maps["true"]  # alike in all seasons but one, once that one is changed
    given = Weighing.of(extent.retrieve, maps, extent.seasons < 2023, extent.seasons)
    changed = given.errors | {
        2021: SquaredErrors(np.array([9.0, 9.0, 1.0])[:, None, None] + np.zeros((3, 6, 5)), given.errors[2021].count)
    }
    other = dataclasses.replace(given, errors=changed)
    assert np.array_equal(given.bank(2021).weights, other.bank(2021).weights)
    assert not np.array_equal(given.bank(2020).weights, other.bank(2020).weights)


def test_held_out_labels_move_no_weight(made_up: Any) -> None:
    extent, maps = wet(made_up, 6)
    training = extent.seasons < 2023
    changed = extent.with_sigma(~training, 4.0)
    left, right = (Weighing.of(each.retrieve, maps, training, each.seasons).bank() for each in (extent, changed))
    assert np.array_equal(left.weights, right.weights)
    assert np.array_equal(left.centre, right.centre)


def test_the_mean_bank_drives_an_extent_without_labels() -> None:
    first = Bank(("api", "bucket"), np.array([1.0, 3.0]), np.array([1.0, 2.0]), np.array([[[0.2, 0.4]], [[0.8, 0.6]]]))
    second = Bank(("bucket",), np.array([5.0]), np.array([4.0]), np.ones((1, 1, 2)))
    found = mean_bank([first, second])
    assert found.names == ("api", "bucket")
    assert found.weights.ravel() == pytest.approx([0.15, 0.85])
    assert found.centre == pytest.approx([1.0, (0.35 * 3 + 0.5 * 5) / 0.85])
    alone = mean_bank([dataclasses.replace(first, weights=first.weights[:, :, :1])])
    assert alone.driver(np.array([[[1.0]], [[7.0]]])).ravel() == pytest.approx([0.8 * 2.0])
