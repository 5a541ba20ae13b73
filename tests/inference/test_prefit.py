"""The closed form from its bundle: the same maps as in training, and the mean extent's elsewhere."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

from mlssm.bundle import Bundle
from mlssm.bundle.nested import pack, unpack
from mlssm.config import DaskConfig
from mlssm.data.assemble import Experiment
from mlssm.errors import RunError
from mlssm.grid import Grid, Window
from mlssm.inference.day_maps import DayMaps, Images
from mlssm.inference.means import ExtentPart, extent_means
from mlssm.inference.opened import Opened, Place
from mlssm.inference.prefit import fitted_state, span_map
from mlssm.inference.surround import side_by_side
from mlssm.response.driver_maps import Drivers
from mlssm.retrieval import bands
from mlssm.workers import open_workers

RESPONSE = ("model=response", "model.lag=2", "split.test=[2023]", "split.val=[2022]", "features.previous=nowcast")


@pytest.fixture(scope="module")
def experiment(watersheds: Callable[..., Any]) -> Experiment:
    found: Experiment = watersheds("datamodule.simulation.seasons=4").experiment(*RESPONSE)
    return found


@pytest.fixture(scope="module")
def state(experiment: Experiment) -> Any:
    """What comes back from a bundle's two files."""
    text, tensors = pack(fitted_state(experiment))
    return unpack(json.loads(json.dumps(text)), tensors)


def day_maps(experiment: Experiment, state: Any) -> DayMaps:
    images = Images(experiment.cube, experiment.stack, experiment.retrieval.masks, experiment.ends)
    return DayMaps(state, images, Drivers(experiment.field))


def test_on_the_days_of_test_images_the_maps_are_those_of_training(experiment: Experiment, state: Any) -> None:
    maps, cube = day_maps(experiment, state), experiment.cube
    times = [int(time) for time in experiment.datasets["test"].times]
    assert len(times) > 5
    for time in times:
        (found,) = maps.on(cube.local_days[time], cube.window_ends[time])
        (wanted,) = experiment.prefit.maps[time]
        assert set(wanted) - set(found) == {"retrieved"}  # of training's tables alone
        for name, values in ((name, wanted[name]) for name in found):
            np.testing.assert_allclose(found[name], values, atol=1e-6, err_msg=f"{name} on {cube.local_days[time]}")


def test_an_image_of_the_day_itself_and_later_ones_are_not_seen(experiment: Experiment, state: Any) -> None:
    cube = experiment.cube
    time = int(experiment.datasets["test"].times[4])
    later = np.flatnonzero(cube.local_days >= cube.local_days[time])
    stack = experiment.stack
    packed = stack.extents[0].packed.copy()
    packed[later] = packed[later][::-1]
    changed = replace(stack, extents=(replace(stack.extents[0], packed=packed),))
    images = Images(cube, changed, experiment.retrieval.masks, experiment.ends)
    day, end = cube.local_days[time], cube.window_ends[time]
    (found,), (wanted,) = (
        each.on(day, end) for each in (DayMaps(state, images, Drivers(experiment.field)), day_maps(experiment, state))
    )
    assert all(np.array_equal(found[name], wanted[name], equal_nan=True) for name in wanted)
    day_after = cube.local_days[int(later[1])]
    (found,) = DayMaps(state, images, Drivers(experiment.field)).on(day_after, end)
    (wanted,) = day_maps(experiment, state).on(day_after, end)
    assert not np.array_equal(found["base"], wanted["base"])


class _Here(Place):
    """A run that is open already."""

    def __init__(self, opened: Opened) -> None:
        object.__setattr__(self, "_opened", opened)

    def opened(self) -> Opened:
        return self._opened


def _opened(experiment: Experiment, state: Any, config: Any) -> Opened:
    place = {"crs": experiment.cube.grid.crs, "pixel_m": 90.0, "pass_is_evening": True}
    bundle = Bundle.of(config, experiment.spec, label_digest="1", cube_digest="2", **place)
    return Opened("run", bundle, experiment.cube, experiment.stack, nn.Identity(), state, None)


def test_the_maps_of_parts_are_those_of_the_whole(
    experiment: Experiment, state: Any, watersheds: Callable[..., Any]
) -> None:
    """Correction and nowcast ask for means over the extent, which parts alone do not have."""
    config = watersheds("datamodule.simulation.seasons=4").config(*RESPONSE)
    opened = _opened(experiment, state, config)
    time = int(experiment.datasets["test"].times[4])
    days = experiment.cube.local_days[time] + np.arange(2)
    windows = side_by_side(Window(0, 0, *opened.shapes[0]), 12)
    with open_workers(DaskConfig(workers=2)) as workers:
        means = extent_means(_Here(opened), [ExtentPart(0, window) for window in windows], days, workers)
    assert means[0].features
    assert means[0].residual
    whole = day_maps(experiment, state)
    for day in days:
        (expected,) = whole.on(day, day)
        assert np.nanstd(expected["previous_residual"]) > 0
        for window in windows:
            (found,) = opened.form_of(0, window, days, means[0]).on(day, day)
            assert set(found) == set(expected)
            for name, values in found.items():
                np.testing.assert_allclose(values, expected[name][window.slices], atol=1e-6, err_msg=name)
    (alone,) = opened.form_of(0, windows[0], days, None).on(days[0], days[0])
    (expected,) = whole.on(days[0], days[0])
    assert np.abs(alone["base"] - expected["base"][windows[0].slices]).max() > 1e-4, "without the means they differ"


def test_elsewhere_the_mean_extents_response_is_used_and_told(
    experiment: Experiment, state: Any, caplog: pytest.LogCaptureFixture
) -> None:
    working = experiment.stack.working
    east, north = working.grid.origin
    moved = Grid(working.grid.crs, (east + 5000, north), working.grid.pixel, working.grid.height, working.grid.width)
    stack = replace(experiment.stack, working=replace(working, grid=moved))
    images = Images(experiment.cube, stack, experiment.retrieval.masks, experiment.ends)
    maps = DayMaps(state, images, Drivers(experiment.field))
    assert "1 of 1 extents are not those that the model was trained on" in caplog.text
    time = int(experiment.datasets["test"].times[-1])
    (found,) = maps.on(experiment.cube.local_days[time], experiment.cube.window_ends[time])
    assert np.isnan(found["mean_ssm"]).all()
    assert np.isnan(found["previous_age"]).all()  # no reference tells what an image there means
    assert found["base"].shape == working.extents[0].shape
    assert found["base"].std() < experiment.prefit.maps[time][0]["base"].std()
    assert abs(float(found["base"].mean()) - float(experiment.prefit.maps[time][0]["base"].mean())) < 0.1


def test_a_bundle_of_before_leverage_maps_as_ever(experiment: Experiment, state: Any) -> None:
    forecaster = state["forecaster"]
    extents = [{name: part for name, part in extent.items() if name != "leverage"} for extent in forecaster["extents"]]
    population = {name: part for name, part in forecaster["population"].items() if name != "leverage"}
    earlier = {**state, "forecaster": {**forecaster, "extents": extents, "population": population}}
    time = int(experiment.datasets["test"].times[2])
    day, end = experiment.cube.local_days[time], experiment.cube.window_ends[time]
    (found,), (wanted,) = (day_maps(experiment, each).on(day, end) for each in (earlier, state))
    assert set(wanted) - set(found) == {"leverage"}
    assert all(np.array_equal(found[name], wanted[name], equal_nan=True) for name in found)


def test_a_state_that_is_not_whole_is_refused(experiment: Experiment, state: Any) -> None:
    forecaster = {key: value for key, value in state["forecaster"].items() if key != "phi"}
    with pytest.raises(RunError, match=r"not whole.*copy the bundle again"):
        day_maps(experiment, state | {"forecaster": forecaster})


def test_other_values_than_arrays_and_primitives_are_not_kept() -> None:
    with pytest.raises(TypeError, match="a date"):
        pack({"day": dt.date(2023, 1, 1)})
    text, tensors = pack({"a": [np.arange(3), None, {"b": (1.5, "x")}]})
    back = unpack(text, tensors)
    assert back["a"][0].tolist() == [0, 1, 2]
    assert back["a"][1:] == [None, {"b": [1.5, "x"]}]
    with pytest.raises(KeyError, match=r"fitted\.0"):
        unpack(text, {})


def test_the_span_of_a_pixel_is_the_mean_over_the_references_that_it_is_labelled_by(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "VALUES", 1)
    (extent,) = experiment.retrieval.extents
    spans = [np.where(extent.usable[key], each.sensitivity, np.nan) for key, each in extent.references.items()]
    expected = pd.DataFrame([each.ravel() for each in spans]).mean().to_numpy().reshape(spans[0].shape)
    found = span_map(extent)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(found).any()
