"""Importance of inputs of linear networks, where it has a closed form, and of a network on the simulated area."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Settings, regular_grid, split_settings
from mlssm.evaluation.stream import Network
from mlssm.evaluation.why.permutation import COLUMNS, Shuffle, permutation_importance, sample
from mlssm.scores.bootstrap import Resampling
from mlssm.scores.cells import Layout

RESAMPLING = Resampling(200, 0.95, 0)
DATES, PLACES, RAIN, SLOPE = 60, 5, 0.04, 0.03


@pytest.fixture
def make_toy(toys: Any) -> Callable[..., Any]:
    """Rain of the last day and the slope make the labels; wind, elevation and NDVI nothing."""

    def make(dates: int = DATES) -> Any:
        draw = np.random.default_rng(0)
        weather = np.clip(draw.standard_normal((dates, 2, 3)), -3, 3).astype(np.float32)
        land = np.clip(draw.standard_normal((PLACES, 3)), -2, 2).astype(np.float32)
        dynamic = torch.zeros(2, 3)
        dynamic[1, 0] = RAIN
        return toys.ToyPatches(toys.Linear(dynamic, torch.tensor([0.0, SLOPE, 0.0])), weather, land)

    return make


@pytest.fixture
def importance(toys: Any) -> Callable[..., pd.DataFrame]:
    """Of a toy's network, or of another one on its patches."""

    def found(dataset: Any, network: nn.Module | None = None, repeats: int = 1) -> pd.DataFrame:
        settings = Settings(Layout(((toys.SIDE, toys.SIDE * PLACES),), toys.SIDE), 16, 10, ())
        one = Network("net", dataset.network if network is None else network, toys.SPEC)
        return permutation_importance(one, dataset, settings, RESAMPLING, repeats=repeats, seed=3)

    return found


def _of(frame: pd.DataFrame, axis: str, inputs: str) -> Any:
    (row,) = frame[(frame["permuted"] == axis) & (frame["inputs"] == inputs)].itertuples()
    return row


def test_a_linear_network_rises_by_its_weight_times_the_difference_of_the_exchanged_inputs(
    toys: Any, make_toy: Any, importance: Any
) -> None:
    toy = make_toy()
    found = importance(toy)
    shuffle = Shuffle.drawn(toy, np.random.default_rng(3))
    rain = toy.weather[:, 1, 0].astype(float)
    other = rain[[shuffle.times[date] for date in range(DATES)]]
    # labels are the network's own, so that it makes no error before
    expected = RAIN * math.sqrt(np.mean((other - rain) ** 2))
    row = _of(found, "dates", "precipitation")
    assert row.rmse_rise == pytest.approx(expected, rel=1e-5)
    assert row.rmse_rise_low < expected < row.rmse_rise_high
    slopes = toy.land[:, 1].astype(float)
    moved = [slopes[shuffle.places[0, 0, toys.SIDE * place][2] // toys.SIDE] for place in range(PLACES)]
    expected = SLOPE * math.sqrt(np.mean((np.array(moved) - slopes) ** 2))
    assert _of(found, "places", "terrain").rmse_rise == pytest.approx(expected, rel=1e-5)


def test_in_expectation_it_is_the_root_of_twice_the_variance(make_toy: Any, importance: Any) -> None:
    toy = make_toy(dates=200)
    row = _of(importance(toy, repeats=5), "dates", "precipitation")
    expected = RAIN * math.sqrt(2 * toy.weather[:, 1, 0].var())
    assert row.rmse_rise == pytest.approx(expected, rel=0.06)


def test_what_the_network_does_not_use_is_worth_nothing(make_toy: Any, importance: Any) -> None:
    found = importance(make_toy())
    for axis, inputs in (("dates", "wind"), ("dates", "ndvi"), ("places", "ndvi")):
        row = _of(found, axis, inputs)
        assert row.rmse_rise == pytest.approx(0, abs=1e-7)
        assert row.rmse_rise_low <= 1e-7
        assert row.rmse_rise_high >= -1e-7
        assert row.r2_drop == pytest.approx(0, abs=1e-6)


def test_a_useless_input_that_it_uses_a_little_is_within_the_interval_of_nothing(
    toys: Any, make_toy: Any, importance: Any
) -> None:
    toy = make_toy()
    dynamic = toy.network.dynamic.clone()
    dynamic[1, 1] = 0.004  # of wind: a tenth of the rain's weight, and of no use
    worse = toy.network.static.clone()
    worse[0] = 0.03  # an error of another kind, as any network makes
    row = _of(importance(toy, toys.Linear(dynamic, worse)), "dates", "wind")
    assert row.rmse_rise_low < 0 < row.rmse_rise_high
    assert abs(row.rmse_rise) < 0.001


def test_the_joint_row_comes_first_and_holds_all_of_its_axis(make_toy: Any, importance: Any) -> None:
    found = importance(make_toy())
    assert found.columns.tolist() == list(COLUMNS)
    for axis in ("dates", "places"):
        rows = found[found["permuted"] == axis]
        assert rows["inputs"].iloc[0].startswith("all that ")
        assert rows["rmse_rise"].iloc[1:].is_monotonic_decreasing
    joint = _of(found, "dates", "all that changes with the date")
    assert joint.rmse_rise == pytest.approx(_of(found, "dates", "precipitation").rmse_rise)
    assert joint.channels.split() == ["precipitation", "wind", "wind_available", "ndvi"]


def test_nothing_keeps_its_own_date_or_place(make_toy: Any) -> None:
    shuffle = Shuffle.drawn(make_toy(), np.random.default_rng(0))
    assert sorted(shuffle.times.values()) == list(range(DATES))
    assert all(time != other for time, other in shuffle.times.items())
    assert all(place != other for place, other in shuffle.places.items())


def test_a_sample_has_as_many_patches_of_each_date_as_can_be(experiment: Experiment) -> None:
    whole = regular_grid(experiment.datasets["test"])
    some = sample(whole, 2 * len(whole.times), seed=0)
    assert len(some) == 2 * len(whole.times)
    assert some.patches["time"].value_counts().max() <= 3
    assert set(some.times) == set(whole.times)
    assert len(sample(whole, 10 * len(whole), seed=0)) == len(whole)
    again = sample(whole, 2 * len(whole.times), seed=0)
    pd.testing.assert_frame_equal(again.patches, some.patches)


def test_a_network_that_sees_no_weather_loses_nothing_without_it(
    experiment: Experiment, network: nn.Module, config: TrainConfig
) -> None:
    data = regular_grid(experiment.datasets["test"])
    settings = split_settings(experiment, config)
    blind = Network("blind", network, experiment.spec, "no_weather")
    drawn: dict[str, Any] = {"repeats": 1, "seed": 0}
    found = permutation_importance(blind, data, settings, RESAMPLING, **drawn)
    weather = found[(found["permuted"] == "dates") & found["inputs"].isin(["precipitation", "temperature", "wind"])]
    assert len(weather) == 3
    assert weather["rmse_rise"].abs().max() < 1e-9
    seeing = permutation_importance(Network("net", network, experiment.spec), data, settings, RESAMPLING, **drawn)
    assert seeing.loc[seeing["inputs"] == "precipitation", "rmse_rise"].abs().min() > 1e-6
