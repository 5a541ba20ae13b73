"""What an experiment is fed with, on the simulated watershed and on real data."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from torch.utils.data import DataLoader

from mlssm.cube import Cube
from mlssm.data.assemble import Experiment, assemble, two_pass_grid
from mlssm.data.controls import apply_control
from mlssm.data.dataset import PatchDataset
from mlssm.data.dated import latest_before
from mlssm.errors import ConfigError, SplitError
from mlssm.variables import AVAILABLE
from mlssm.weather.stations import VARIABLES

EVERYTHING = slice(None)
SMALL = "patches.size=7", "patches.dense_stride=4", "retrieval.multilook_m=90"
ALL = ("precipitation", "evapotranspiration", "temperature", "vapour_pressure", "wind")


@pytest.fixture(scope="module")
def experiment(watershed) -> Experiment:
    return watershed.experiment(*SMALL)


@pytest.fixture(scope="module")
def real(santa_barbara) -> Experiment:
    """Tested on the season of the two last dates, on which wind and humidity are missing."""
    return santa_barbara.experiment("retrieval.multilook_m=150", "patches.size=10", "split.test=[2024]")


def copied(cube: Cube, folder: Path) -> Cube:
    """A cube that can be written to, beside the stack that was made from the first."""
    path = folder / "copy.zarr"
    shutil.copytree(cube.path, path)
    return Cube(path, cube.manifest)


def reopened(cube: Cube) -> Cube:
    """The same cube, read anew."""
    return Cube(cube.path, cube.manifest)


def inputs_of(experiment: Experiment, times: list[int]) -> list[np.ndarray]:
    found = [experiment.features.patch(0, experiment.moments[t], EVERYTHING, EVERYTHING) for t in times]
    return [array for inputs in found for array in (inputs.dynamic, inputs.static, inputs.usable)]


def test_channels_are_in_a_fixed_order(experiment: Experiment) -> None:
    spec = experiment.spec
    assert spec.dynamic[:5] == ALL
    assert spec.static[:3] == ("elevation", "slope", "soil_1")
    assert [name for name in spec.static if not name.endswith(AVAILABLE)][-1] == "ndvi"
    inputs = experiment.features.patch(0, next(iter(experiment.moments.values())), slice(0, 6), slice(0, 5))
    assert inputs.dynamic.shape == (3, len(spec.dynamic), 6, 5)
    assert inputs.static.shape == (len(spec.static), 6, 5)


def test_training_dates_have_mean_0_and_deviation_1(experiment: Experiment) -> None:
    """Of the weather at every pixel, though scaling looks at some: the fields are smooth."""
    training = experiment.datasets["train"].times
    made = [experiment.features.patch(0, experiment.moments[time], EVERYTHING, EVERYTHING) for time in training]
    dynamic = np.stack([inputs.dynamic for inputs in made])
    np.testing.assert_allclose(dynamic[:, :, :5].mean(axis=(0, 1, 3, 4)), 0, atol=0.02)
    # vapour pressure has gaps that are filled with its mean
    np.testing.assert_allclose(dynamic[:, :, :5].std(axis=(0, 1, 3, 4)), 1, atol=0.05)
    for position in range(2):
        assert made[0].static[position].mean() == pytest.approx(0, abs=1e-4)
        assert made[0].static[position].std() == pytest.approx(1, abs=1e-4)


def test_an_item_is_what_the_sources_say(experiment: Experiment, shepard) -> None:
    """Weather interpolated afresh, log(1 + rain), scaled; terrain and NDVI of the blocks; labels of the retrieval."""
    dataset, spec, field = experiment.datasets["val"], experiment.spec, experiment.field
    rain = [experiment.moments[time].window[:, :, 0] for time in dataset.patches["time"]]
    wettest = int(np.argmax([np.nansum(each) for each in rain]))
    assert np.nanmin(rain[wettest].sum(axis=0)) > 1
    for position in (0, wettest, len(dataset) - 1):
        patch, item = dataset.patches.iloc[position], dataset[position]
        time, rows, cols = (
            int(patch["time"]),
            slice(patch["row"], patch["row"] + 7),
            slice(patch["col"], patch["col"] + 7),
        )
        place = field.places[0]
        height, width = place.elevation[rows, cols].shape
        end = (experiment.cube.window_ends[time] - field.weather.days[0]).astype(int)
        stations = (*field.station_xy.T, field.weather.elevation_m)
        window = field.weather.values[end - 2 : end + 1]
        weather = shepard(window, VARIABLES, stations, place.x[cols], place.y[rows], place.elevation[rows, cols])
        for channel, name in enumerate(ALL):
            values = weather[:, VARIABLES.index(name)].astype(float)
            values = np.log1p(values) if name == "precipitation" else values
            wanted = np.nan_to_num((values - spec.means[channel]) / spec.stds[channel])
            middle = slice(dataset.margin, dataset.margin + height), slice(dataset.margin, dataset.margin + width)
            np.testing.assert_allclose(item.dynamic[:, channel, *middle], wanted, atol=2e-5)
        number = len(spec.dynamic) + spec.static.index("ndvi")
        days = experiment.cube.ndvi_days
        image = int(np.flatnonzero(days < experiment.cube.local_days[time])[-1])
        ndvi = experiment.features.layers[0].dated["ndvi"].values(image, rows, cols)
        wanted = (ndvi - spec.means[number]) / spec.stds[number]
        np.testing.assert_allclose(item.static[spec.static.index("ndvi"), *middle], wanted, atol=2e-5)
        labels = experiment.retrieval.labels(0, np.array([time]), rows, cols)
        known = np.isfinite(labels.ssm)
        np.testing.assert_array_equal(item.valid[:, :height, :width], known)
        np.testing.assert_array_equal(
            item.target[:, :height, :width][item.valid[:, :height, :width]], labels.ssm[known]
        )
        assert dataset.times[item.date] == time


def test_padding_is_never_valid(experiment: Experiment) -> None:
    """20 blocks a side in patches of 7: the last of a row reaches one pixel past the extent."""
    for dataset in experiment.datasets.values():
        beyond = dataset.patches[(dataset.patches["row"] + 7 > 20) & (dataset.patches["col"] + 7 > 20)]
        assert len(beyond)
        for position in beyond.index[:3]:
            item = dataset[position]
            seen = 7 + 2 * dataset.margin
            assert item.dynamic.shape[-2:] == item.static.shape[-2:] == (seen, seen)
            assert item.target.shape[-2:] == item.valid.shape[-2:] == (7, 7)
            assert not item.valid[:, 6:].any()
            assert not item.valid[:, :, 6:].any()
            assert item.valid[:, :6, :6].any()
            assert torch.isfinite(item.dynamic).all()
            assert torch.isfinite(item.static).all()
            assert torch.isfinite(item.target[item.valid]).all()
            assert (item.standard_error[item.valid] > 0).all()


def test_ndvi_is_that_of_an_earlier_day() -> None:
    images = np.array(["2022-01-01", "2022-01-17"], "datetime64[D]")
    days = np.array(["2021-12-31", "2022-01-01", "2022-01-02", "2022-01-17", "2022-01-18"], "datetime64[D]")
    np.testing.assert_array_equal(latest_before(days, images), [-1, -1, 0, 0, 1])
    np.testing.assert_array_equal(latest_before(days, images[:0]), [-1] * 5)


def test_no_input_knows_the_backscatter(watershed, experiment: Experiment, tmp_path: Path) -> None:
    """All of it is another, on every date: labels are others, scaling and inputs are the same."""
    cube = copied(watershed.cube, tmp_path)
    array = zarr.open_group(cube.path, mode="r+")["backscatter"]
    array[:] = np.random.default_rng(0).normal(-1200, 300, array.shape).astype(np.int16)
    other = assemble(cube, watershed.config(*SMALL))
    assert other.spec == experiment.spec
    times = sorted(experiment.moments)
    for mine, theirs in zip(inputs_of(experiment, times), inputs_of(other, times), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert other.retrieval.digest() != experiment.retrieval.digest()


def test_scaling_sees_training_dates_alone(watershed, experiment: Experiment, tmp_path: Path) -> None:
    """Weather of days in no training window, and NDVI of no training date, may be anything."""
    cube = copied(watershed.cube, tmp_path)
    group, training = zarr.open_group(cube.path, mode="r+"), experiment.datasets["train"].times
    days = cube.weather.days
    seen = np.isin(days, cube.window_ends[training][:, None] - np.arange(3))
    weather = group["weather"][:]
    weather[~seen] = np.where(np.isfinite(weather[~seen]), weather[~seen] * 3 + 1, np.nan)
    group["weather"][:] = weather
    for image in set(range(len(cube.ndvi_days))) - set(latest_before(cube.local_days[training], cube.ndvi_days)):
        group["ndvi"][image] = np.where(group["ndvi"][image] > 0, 9000, 100)
    other = assemble(reopened(cube), watershed.config(*SMALL))
    assert other.spec == experiment.spec
    held_out = list(experiment.datasets["test"].times[:1])
    assert not np.array_equal(inputs_of(other, held_out)[0], inputs_of(experiment, held_out)[0])
    weather[seen] *= 1.5
    group["weather"][:] = weather
    assert assemble(reopened(cube), watershed.config(*SMALL)).spec.means != experiment.spec.means


def test_held_out_dates_are_in_no_training_patch(experiment: Experiment) -> None:
    days = experiment.cube.local_days
    of = {name: set(days[dataset.times].astype(str)) for name, dataset in experiment.datasets.items()}
    assert not of["train"] & of["val"]
    assert not of["train"] & of["test"]
    assert not of["val"] & of["test"]


def test_two_pass_adds_to_training_only(watershed, experiment: Experiment) -> None:
    other = watershed.experiment(*SMALL, "sampler=two_pass", "patches.min_high_fraction=0.3")
    assert set(experiment.datasets["train"].patches["pass"]) == {1}
    assert set(other.datasets["train"].patches["pass"]) == {1, 2}
    for name in ("val", "test"):
        assert len(other.datasets[name]) == len(experiment.datasets[name])
        assert set(other.datasets[name].patches["pass"]) == {1}


def test_a_rebalanced_experiment_holds_together(watershed, experiment: Experiment) -> None:
    """Sampler, loss, control and second pass at once; validation and test stay the regular grid, as they come."""
    more = "sampler=density", "sampler.reweight=true", "loss=balanced_mse", "control=no_weather"
    other = watershed.experiment(*SMALL, *more, "evaluation.two_pass=true", "patches.min_high_fraction=0.3")
    train, plan = other.datasets["train"], other.plan
    assert train.plan is plan
    assert plan.reweighted
    assert plan.labels.sum() == pytest.approx(1)
    pd.testing.assert_frame_equal(
        train.patches.drop(columns="inclusion"), experiment.datasets["train"].patches.drop(columns="inclusion")
    )
    of_train = other.index[(other.index["split"] == "train") & (other.index["pass"] == 1)]
    np.testing.assert_array_equal(of_train["inclusion"], plan.drawing.expected)
    assert train[3].weight.item() == plan.weight[3]
    for name, dataset in other.datasets.items():
        item, plain = dataset[0], experiment.datasets[name][0]
        assert (item.dynamic == 0).all()
        assert torch.equal(item.static, plain.static)
        assert torch.equal(item.target.nan_to_num(9), plain.target.nan_to_num(9))
        if name != "train":
            assert item.weight == 1
            assert set(dataset.patches["pass"]) == {1}
            assert len(dataset) == len(experiment.datasets[name])
    for name in ("train", "val", "test"):
        grid = two_pass_grid(other, name)
        assert set(grid.patches["pass"]) == {1, 2}
        assert set(grid.patches["split"]) == {name}
        assert grid.control == "none"  # each model applies its own when it is scored
        assert grid[0].weight == 1


def test_a_second_pass_that_was_not_kept_says_so(experiment: Experiment) -> None:
    assert set(two_pass_grid(experiment, "train").patches["split"]) == {"train"}
    with pytest.raises(ConfigError, match=r"no second pass in the val split; set evaluation.two_pass=true"):
        two_pass_grid(experiment, "val")


def test_shuffled_patches_are_the_controls_own(watershed, experiment: Experiment) -> None:
    plain = experiment.datasets["test"]
    parts = plain.patches, plain.size, plain.retrieval, plain.features, plain.moments
    shuffled = PatchDataset(*parts, "shuffle_space", margin=plain.margin)
    batch = next(iter(DataLoader(plain, batch_size=4)))
    wanted = apply_control("shuffle_space", batch, [plain.place(i) for i in range(4)], plain.features.spec)
    for i in range(4):
        torch.testing.assert_close(shuffled[i].dynamic, wanted.dynamic[i], rtol=0, atol=0)
        torch.testing.assert_close(shuffled[i].static, wanted.static[i], rtol=0, atol=0)
    assert not torch.equal(shuffled[0].static, plain[0].static)


def test_sequence_and_aggregate_are_fed_with_lag_steps_and_one(watershed) -> None:
    sequence, aggregate = (
        watershed.experiment(*SMALL, "model.lag=30", f"model.window={kind}") for kind in ("sequence", "aggregate")
    )
    assert sequence.datasets["test"][0].dynamic.shape[0] == 30
    assert aggregate.datasets["test"][0].dynamic.shape[0] == 1


def test_missing_weather_is_filled_and_said(real: Experiment) -> None:
    """Two dates are without wind and humidity; three extents have terrain; all of it has a channel of its own."""
    spec = real.spec
    assert spec.dynamic == (*ALL, "vapour_pressure" + AVAILABLE, "wind" + AVAILABLE)
    assert spec.static == ("elevation", "slope", "terrain" + AVAILABLE)
    last, first = real.datasets["test"], real.datasets["train"]
    assert len(last.times) == 2
    for dataset, there in ((last, 0), (first, 1)):
        item = dataset[0]
        assert (item.dynamic[:, 5:] == there).all()
        filled = bool((item.dynamic[:, 3:5] == 0).all())
        assert filled == (there == 0)
        assert item.valid.any()
    shares = []
    for extent, layers in enumerate(real.features.layers):
        static = real.features.patch(extent, real.moments[0], EVERYTHING, EVERYTHING).static
        there = np.isfinite(layers.fixed["elevation"]) & np.isfinite(layers.fixed["slope"])
        np.testing.assert_array_equal(static[2], there)
        assert (static[0][np.isnan(layers.fixed["elevation"])] == 0).all()
        shares.append(there.mean())
    np.testing.assert_allclose(sorted(shares), [0, 0, 1, 1, 1], atol=0.05)
    # channels of availability are not scaled
    assert [pair for pair in zip(spec.means, spec.stds, strict=True)][5:7] == [(0, 1), (0, 1)]


def test_missing_is_masked_where_it_is_not_filled(santa_barbara, caplog) -> None:
    """The two dates without wind go, and the two extents without terrain are not valid."""
    with caplog.at_level(logging.WARNING):
        found = santa_barbara.experiment(
            "retrieval.multilook_m=150", "patches.size=10", "features.on_missing=drop", "split.test=[2023]"
        )
    assert not any(name.endswith(AVAILABLE) for name in (*found.spec.dynamic, *found.spec.static))
    assert set(found.moments) == set(range(20))
    assert "2 dates without weather in their window are dropped: 2024-12-20, 2025-01-01" in caplog.text
    for number, layers in enumerate(found.features.layers):
        usable = found.features.patch(number, found.moments[0], EVERYTHING, EVERYTHING).usable
        there = np.isfinite(layers.fixed["elevation"]) & np.isfinite(layers.fixed["slope"])
        np.testing.assert_array_equal(usable, there)
        np.testing.assert_array_equal(found.features.usable(number, found.moments[0]), there)
    without_terrain = [number for number, place in enumerate(found.field.places) if np.isnan(place.elevation).all()]
    assert len(without_terrain) == 2
    assert not set(found.index["extent"]) & set(without_terrain)


def test_pixels_without_terrain_are_not_valid_though_they_have_labels(watershed, tmp_path: Path) -> None:
    cube = copied(watershed.cube, tmp_path)
    zarr.open_group(cube.path, mode="r+")["static"][0, :30] = np.nan
    found = assemble(cube, watershed.config(*SMALL, "features.on_missing=drop", "features.static=[elevation]"))
    seen = np.zeros(20, bool)
    for dataset in found.datasets.values():
        for position in range(0, len(dataset), 5):
            patch, valid = dataset.patches.iloc[position], dataset[position].valid[0]
            rows = slice(patch["row"], patch["row"] + 7)
            labels = found.retrieval.labels(0, np.array([patch["time"]]), rows, slice(patch["col"], patch["col"] + 7))
            known = np.isfinite(labels.ssm[0])
            seen[rows] |= valid[: 20 - patch["row"]].any(dim=1).numpy()
            assert patch["valid_fraction"] == pytest.approx(valid.sum().item() / known.size)
            assert (valid.sum() < known.sum()) == known[: max(0, 10 - patch["row"])].any()
    assert seen[10:].all()
    assert not seen[:10].any()


def test_dates_without_rain_are_dropped_and_counted(watershed, tmp_path: Path, caplog) -> None:
    """Rain on 2 of 3 days is less than the share of 0.75; no rain at all leaves nothing."""
    cube = copied(watershed.cube, tmp_path)
    weather = zarr.open_group(cube.path, mode="r+")["weather"]
    rain, end = VARIABLES.index("precipitation"), (cube.window_ends[4] - cube.weather.days[0]).astype(int)
    values = weather[:]
    values[end - 1, :, rain] = np.nan
    weather[:] = values
    with caplog.at_level(logging.WARNING):
        found = assemble(reopened(cube), watershed.config(*SMALL))
    assert 4 not in found.moments
    assert 4 not in set(found.index["time"])
    assert f"1 dates without weather in their window are dropped: {cube.local_days[4]}" in caplog.text
    kept = assemble(reopened(cube), watershed.config(*SMALL, "weather.min_coverage=0.5"))
    assert 4 in kept.moments
    values[:, :, rain] = np.nan
    weather[:] = values
    with pytest.raises(SplitError, match=rf"none of the {len(cube.times)} dates has weather in its window of 3 days"):
        assemble(reopened(cube), watershed.config(*SMALL))


def test_lag_before_the_record_is_dropped_with_its_dates(watershed) -> None:
    """The weather begins with the first season: at lag 366 a whole year of dates has too little of it."""
    found = watershed.experiment(*SMALL, "model.lag=300", "model.window=aggregate", "split=by_date")
    first = found.cube.weather.days[0]
    earliest = found.cube.window_ends[min(found.moments)]
    assert (earliest - first).astype(int) + 1 >= 0.75 * 300
    assert min(found.moments) > 0


def test_too_few_dates_for_references_is_said(watershed) -> None:
    with pytest.raises(SplitError, match=r"training dates.* retrieval.min_dates=30; hold out fewer dates"):
        watershed.experiment(*SMALL, "retrieval.min_dates=30")
