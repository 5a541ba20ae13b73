"""Whose rain drives an extent of few dates."""

from typing import Any

import numpy as np
import pytest

from mlssm.response.stations import MOST_STATIONS, choose_station


def choose(extent: Any, drivers: dict[str | None, np.ndarray], training: np.ndarray) -> str | None:
    names = [name for name in drivers if name is not None]
    return choose_station([extent.retrieve], lambda name: [drivers[name]], names, training, extent.seasons)


def test_the_gauge_that_forecasts_held_out_training_seasons_is_chosen(
    made_up: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    extent = made_up(6)
    noise = np.random.default_rng(1).gamma(1, 1, extent.driver.shape)
    drivers = {None: (extent.driver + noise) / 2, "good": extent.driver, "bad": noise}
    training = extent.seasons < 2023
    assert choose(extent, drivers, training) == "good"
    assert "chose the rain of station good" in caplog.text
    assert choose(extent, drivers | {None: extent.driver, "good": noise}, training) is None


def test_seasons_that_are_not_trained_on_choose_nothing(made_up: Any) -> None:
    extent = made_up(6)
    noise = np.random.default_rng(1).gamma(1, 1, extent.driver.shape)
    training = extent.seasons < 2023
    drivers = {None: noise, "first": extent.driver, "second": noise[::-1]}
    changed = extent.with_sigma(~training, 4.0)
    assert choose(extent, drivers, training) == choose(changed, drivers, training) == "first"


def test_one_station_is_the_interpolated_and_many_are_not_all_tried(made_up: Any) -> None:
    extent = made_up(6)
    training = extent.seasons < 2023
    assert choose(extent, {None: extent.driver, "only": extent.driver}, training) is None
    noise = np.random.default_rng(1).gamma(1, 1, extent.driver.shape)
    far: dict[str | None, np.ndarray] = {None: noise, **{f"near {i}": noise for i in range(MOST_STATIONS)}}
    assert choose(extent, far | {"far": extent.driver}, training) is None
