"""Band by band the closed form is what it is at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlssm import scratch as scratch_module
from mlssm.response import own_share
from mlssm.response.closed_form import ClosedForm
from mlssm.response.driver import Driver
from mlssm.response.driver_maps import DriverRows
from mlssm.response.fitted import Extent, Settings
from mlssm.response.rows import EVERY, WHOLE, Mixed, OfTimes, Spread, kept, known_mean, rows_of
from mlssm.response.station_weights import StationWeights
from mlssm.response.traits import TraitPixels
from mlssm.response.weighing import drive
from mlssm.retrieval import bands


@pytest.fixture
def a_row_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on bands are single rows, sums are of single dates, and maps are files."""

    def begin() -> None:
        monkeypatch.setattr(bands, "VALUES", 1)
        monkeypatch.setattr(own_share, "CACHED", 1)
        monkeypatch.setattr(scratch_module, "LARGE", 1)
        monkeypatch.setattr(scratch_module, "MOST_MAPPED", 0)

    return begin


def everything(form: ClosedForm) -> dict[str, Any]:
    forecasts, memory, traits = form.forecasts(0), form.memory(0), form.extents[0].traits
    assert traits is not None
    return {
        "forecasts": forecasts,
        "labels": form.labels(0),
        "nowcasts": form.nowcasts(0, forecasts),
        "leverages": kept(form.leverage_maps(0), len(form.dates.days), form.fitted[0].shape),
        "memory": np.stack([memory.whole, *memory.by_season.values()]),
        "traits": traits.fixed,
        "noise": traits.noise,
        "weights": form.extents[0].weights,
        "errors": np.array(list(form.inner.own_share.errors.values())),
        "chosen": np.array([form.inner.phi, form.inner.own_share.value]),
        "scale": np.array(form.fitted[0].scale),
    }


@pytest.mark.parametrize("weighed", [False, True])
def test_a_row_at_once_gives_what_all_rows_give(made_up: Any, weighed: bool, a_row_at_once: Callable[[], None]) -> None:
    extent = made_up(20 if weighed else 6)
    extent.sigma[:, 2, 3] = np.nan
    driver = extent.driver * np.linspace(1, 2, 30).reshape(6, 5)
    others = np.random.default_rng(1).gamma(1, 1, driver.shape)
    maps: dict[str, Callable[[], np.ndarray]] = {"true": lambda: driver, "other": lambda: driver + others}
    training = extent.seasons < 2023

    def fit() -> ClosedForm:
        driven = drive(extent.retrieve, driver, maps, training, extent.seasons)
        assert (driven.bank is not None) is weighed
        return ClosedForm.fit([Extent(extent.retrieve, driven, 150.0)], extent.dates, training, Settings())

    at_once = everything(fit())
    a_row_at_once()
    by_rows = everything(fit())
    for name, expected in at_once.items():
        np.testing.assert_allclose(by_rows[name], expected, rtol=1e-9, atol=1e-11, err_msg=name)
    assert isinstance(by_rows["forecasts"], np.memmap)


def test_what_features_tell_is_their_weighted_sum(made_up: Any) -> None:
    extent = made_up(6)
    extent.sigma[:, 1, 1] = np.nan
    form = ClosedForm.fit([extent.extent], extent.dates, extent.seasons < 2023, Settings())
    traits = form.extents[0].traits
    assert traits is not None
    driver, weights = extent.driver[-1], np.random.default_rng(0).normal(size=len(traits.features(extent.driver[-1])))
    means = traits.sums(extent.driver, np.array([len(extent.driver) - 1])).mean[0]
    told = TraitPixels(traits).told(driver, weights, means)
    np.testing.assert_allclose(told, np.tensordot(weights, traits.features(driver), 1), rtol=1e-9, atol=1e-9)


def test_maps_of_several_sources_are_asked_by_the_time() -> None:
    whole, own = np.arange(24.0).reshape(4, 3, 2), -np.arange(1.0, 13).reshape(2, 3, 2)
    maps = Mixed((whole, OfTimes(own, np.array([1, 3]))), np.array([0, 1, 0, 1]))
    expected = whole.copy()
    expected[[1, 3]] = own
    assert np.array_equal(kept(maps, 4, (3, 2)), expected)
    assert np.array_equal(maps.rows(np.array([3, 0]), slice(1, 3)), expected[[3, 0], 1:3])
    assert np.array_equal(rows_of(maps, np.array([False, True, True, False]), slice(0, 1)), expected[1:3, :1])
    with pytest.raises(ValueError, match=r"kept of times \[1, 3\], and \[1, 2\] are asked for"):
        maps.sources[1].rows(np.array([1, 2]), WHOLE)
    one = np.arange(4.0)[:, None, None]
    assert np.array_equal(rows_of(one, np.array([2]), slice(1, 3)), [[[2.0]]])
    assert kept(Mixed((one,), np.zeros(4, int)), 4, (3, 2)).shape == (4, 1, 1)


def test_a_drivers_rows_are_those_of_its_maps() -> None:
    random = np.random.default_rng(0)
    driver, weights = Driver("water", random.gamma(1, 9, (9, 3)), "log"), random.dirichlet([1, 1, 1], 20)
    positions = np.array([0, 4, -2, 8])
    weights[7] = [0, 1, 0]
    whole = driver.at(positions, weights).reshape(4, 5, 4)
    kept_weights = StationWeights.of([weights[:8], weights[8:]], 20, 3, 3)
    assert np.array_equal(kept_weights.everywhere.toarray(), weights)
    made = DriverRows(driver, positions, kept_weights, 4)
    np.testing.assert_allclose(made.rows(EVERY, slice(0, 5)), whole, rtol=1e-12)
    np.testing.assert_allclose(made.rows(np.array([1, 3]), slice(2, 4)), whole[[1, 3], 2:4], rtol=1e-12)


def test_spread_and_mean_are_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "VALUES", 1)
    values, chosen = 1e6 + np.random.default_rng(0).normal(size=(5, 4, 3)), np.array([True, True, False, True, False])
    found = Spread.of(values, chosen, (4, 3))
    assert (found.count, found.mean) == (36, pytest.approx(values[chosen].mean(), rel=1e-14))
    assert found.deviation == pytest.approx(values[chosen].std(), rel=1e-9)
    assert Spread().deviation == 0
    values[0, 1, 1] = np.nan
    assert known_mean(values[0]) == pytest.approx(np.nanmean(values[0]), rel=1e-14)
    assert np.isnan(known_mean(np.full((2, 2), np.nan)))
    assert np.array_equal(rows_of(values, EVERY, WHOLE), values, equal_nan=True)
