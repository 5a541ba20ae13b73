"""The closed form as a network's inputs, on a simulated watershed of four seasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlssm.data.assemble import Experiment, assemble
from mlssm.errors import RunError, SplitError
from mlssm.patches.dates import seasons
from mlssm.response import driver_maps
from mlssm.response.bank import Bank
from mlssm.response.driver_maps import Drivers
from mlssm.response.memory import MEMORY
from mlssm.retrieval import bands

RESPONSE = ("model=response", "model.lag=2", "split.test=[2023]", "split.val=[2022]")


@pytest.fixture(scope="module")
def watershed(watersheds: Callable[..., Any]) -> Any:
    return watersheds("datamodule.simulation.seasons=4")


@pytest.fixture(scope="module")
def experiment(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*RESPONSE)
    return found


@pytest.fixture(scope="module")
def nowcast(watershed: Any) -> Experiment:
    found: Experiment = watershed.experiment(*RESPONSE, "features.previous=nowcast")
    return found


def test_base_and_memory_are_channels(experiment: Experiment) -> None:
    assert experiment.spec.static[-6:-1] == ("base", *MEMORY) or experiment.spec.static[-5:] == ("base", *MEMORY)


def test_a_patch_holds_the_maps_of_its_place_and_time(experiment: Experiment) -> None:
    data = experiment.datasets["val"]
    spec, position = experiment.spec, spec_position(experiment, "base")
    for number in (0, len(data) - 1):
        place, batch = data.place(number), data[number]
        wanted = experiment.prefit.maps[place.time][place.extent]["base"][place.rows, place.cols]
        scale = len(spec.dynamic) + position
        margin = data.margin
        found = batch.static[position].numpy()[margin : margin + wanted.shape[0], margin : margin + wanted.shape[1]]
        assert np.allclose(found * spec.stds[scale] + spec.means[scale], wanted, atol=1e-6)


def spec_position(experiment: Experiment, name: str) -> int:
    return experiment.spec.static.index(name)


def test_a_training_season_is_learnt_from_labels_and_maps_that_do_not_know_it(
    watershed: Any, experiment: Experiment
) -> None:
    """The same maps as of an experiment in which that season is for validation."""
    of_each = seasons(watershed.cube.local_days, 9)
    alone = watershed.experiment(*RESPONSE[:2], "split.test=[2022,2023]", "split.val=[2021]", "model=convlstm")
    held = np.flatnonzero(of_each == 2021)
    data = experiment.datasets["train"]
    number = next(i for i in range(len(data)) if data.place(i).time in held)
    place = data.place(number)
    labels = alone.retrieval.labels(place.extent, np.array([place.time]), place.rows, place.cols).ssm[0]
    found, valid = data[number].target[0].numpy(), data[number].valid[0].numpy()
    inside = slice(0, labels.shape[0]), slice(0, labels.shape[1])
    known = valid[inside]
    assert known.any()
    assert np.allclose(found[inside][known], labels[known], atol=1e-6)
    own = experiment.retrieval.labels(place.extent, np.array([place.time]), place.rows, place.cols).ssm[0]
    assert not np.allclose(found[inside][known], own[known], atol=1e-3)


def test_held_out_labels_move_no_input(watershed: Any, experiment: Experiment) -> None:
    """Another test season takes other labels out: with the same training dates nothing that is fed changes."""
    swapped = watershed.experiment(*RESPONSE[:2], "split.test=[2022]", "split.val=[2023]")
    assert swapped.spec == experiment.spec
    for time in experiment.datasets["train"].times:
        for name in ("base", *MEMORY):
            left, right = (each.prefit.maps[int(time)][0][name] for each in (swapped, experiment))
            assert np.array_equal(left, right, equal_nan=True)


def test_a_nowcast_sees_earlier_images_of_the_season_alone(nowcast: Experiment, experiment: Experiment) -> None:
    cube = nowcast.cube
    of_each = seasons(cube.local_days, 9)
    for time, maps in nowcast.prefit.maps.items():
        age = maps[0]["previous_age"]
        apart = (cube.local_days[time] - cube.local_days).astype(int)
        allowed = set(apart[(of_each == of_each[time]) & (apart > 0)].tolist())
        assert set(np.unique(age[np.isfinite(age)]).astype(int).tolist()) <= allowed
        if not allowed:
            assert np.isnan(age).all()
            assert np.array_equal(maps[0]["base"], maps[0]["forecast"])
    changed = [not np.array_equal(maps[0]["base"], maps[0]["forecast"]) for maps in nowcast.prefit.maps.values()]
    assert any(changed) or nowcast.prefit.forecaster.phi == 0
    for time, maps in experiment.prefit.maps.items():
        assert np.array_equal(maps[0]["forecast"], nowcast.prefit.maps[time][0]["forecast"])
        assert "previous_age" not in maps[0]


def test_a_nowcast_has_a_channel_for_where_there_is_no_earlier_image(nowcast: Experiment) -> None:
    assert {"previous_residual", "previous_mean", "previous_age", "previous_available"} <= set(nowcast.spec.static)
    data, position = nowcast.datasets["test"], spec_position(nowcast, "previous_available")
    first = next(i for i in range(len(data)) if data.place(i).time == data.times[0])
    last = next(i for i in range(len(data)) if data.place(i).time == data.times[-1])
    assert float(data[first].static[position].max()) == 0
    assert float(data[last].static[position].max()) == 1


@pytest.mark.slow
def test_bands_of_a_few_rows_make_the_same_maps(
    watershed: Any, nowcast: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "VALUES", 100_000)
    found = watershed.experiment(*RESPONSE, "features.previous=nowcast").prefit
    for time, (expected,) in nowcast.prefit.maps.items():
        (maps,) = found.maps[time]
        assert maps.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(maps[name], values, rtol=1e-6, atol=1e-6, err_msg=name)
    for time, (labels,) in nowcast.prefit.targets.items():
        assert np.array_equal(found.targets[time][0], labels, equal_nan=True)
    assert found.without_previous == pytest.approx(nowcast.prefit.without_previous)


def test_any_model_can_be_a_nowcast(watershed: Any) -> None:
    found = watershed.experiment("features.previous=nowcast", "split.test=[2023]", "split.val=[2022]")
    assert "previous_mean" in found.spec.static
    assert "base" not in found.spec.static


def test_a_gauge_that_the_record_lacks_is_named(watershed: Any, experiment: Experiment) -> None:
    drivers, ends = Drivers(experiment.field), watershed.cube.window_ends[:3]
    name = drivers.stations[0]
    found = drivers.of_station(name, 0, ends)
    position, days = experiment.field.weather.ids.index(name), drivers.forcing.positions(ends)
    assert np.allclose(found[:, 0, 0], np.log1p(drivers.fixed.stored[days, position]))
    with pytest.raises(RunError, match="driven by the rain of station ELSEWHERE, and the weather has"):
        drivers.of_station("ELSEWHERE", 0, ends)


def test_a_days_bank_is_made_band_by_band(
    watershed: Any, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers, ends = Drivers(experiment.field), watershed.cube.window_ends[:3]
    used = drivers.many[3], drivers.many[40], drivers.many[-1]
    shape, random = experiment.field.places[0].shape, np.random.default_rng(0)
    weighed = Bank(tuple(each.name for each in used), np.arange(3.0), np.arange(2.0, 5), random.random((3, *shape)))
    maps = [drivers.at(each, 0, ends) for each in used]
    parts = zip(maps, weighed.centre, weighed.scale, weighed.weights, strict=True)
    expected = sum(weight * (values - centre) / scale for values, centre, scale, weight in parts)
    for cached in (driver_maps.CACHED, 1):
        monkeypatch.setattr(driver_maps, "CACHED", cached)
        np.testing.assert_allclose(drivers.driving(weighed, None, 0, ends), expected, rtol=1e-12, atol=1e-12)
    with pytest.raises(RunError, match="driven by bucket of old, which cannot be made"):
        drivers.driving(dataclasses.replace(weighed, names=("bucket of old",)), None, 0, ends)


def test_too_few_seasons_are_counted_and_the_cure_is_said(watershed: Any) -> None:
    with pytest.raises(SplitError, match=r"2 training seasons, and there is 1.*model=convlstm"):
        watershed.experiment("model=response", "split.test=[2022,2023]", "split.val=[2021]")


def test_where_space_is_split_no_label_of_a_test_pixel_is_known(watershed: Any) -> None:
    found = watershed.experiment(
        *RESPONSE, "split=by_season_and_block", "split.block_m=600", "split.buffer_m=90", "patches.size=5"
    )
    test = found.datasets["test"]
    for number in range(len(test)):
        place = test.place(number)
        memory = found.prefit.maps[place.time][place.extent]["mean_ssm"][place.rows, place.cols]
        assert np.isnan(memory).all()
        assert np.isfinite(found.prefit.maps[place.time][place.extent]["base"]).all()
    train = found.datasets["train"].place(0)
    assert np.isfinite(found.prefit.maps[train.time][0]["mean_ssm"][train.rows, train.cols]).any()


def test_images_behind_the_weathers_record_are_dropped_and_counted(
    watershed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one whose window is known but for its last day: the closed form needs that day's rain."""
    cube = dataclasses.replace(watershed.cube)
    last = cube.window_ends[-3] - np.timedelta64(1, "D")
    kept = cube.weather.days <= last
    short = dataclasses.replace(cube.weather, days=cube.weather.days[kept], values=cube.weather.values[kept])
    cube.__dict__["weather"] = short  # in the place of what the cube would read
    config = watershed.config(*RESPONSE, "model.lag=10")
    found = assemble(cube, config)
    behind = np.flatnonzero(found.ends > last)
    assert len(behind) >= 3
    assert not set(behind.tolist()) & set(found.moments)
    assert f"{len(behind)} dates without weather in their window are dropped" in caplog.text
