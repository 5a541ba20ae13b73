from pathlib import Path

import numpy as np
import pytest
import torch

from mlssm import bundle
from mlssm.bundle import Bundle
from mlssm.data.dataset import PatchDataset
from mlssm.data.spec import FeatureSpec
from mlssm.errors import RunError
from mlssm.inference.restore import restore
from mlssm.inference.serving import Scaler, SoilMoistureModel, example
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.variables import AVAILABLE

SMALL = ("model.hidden=[4]", "model.lag=2", "retrieval.multilook_m=90", "patches.size=10")


@pytest.fixture(scope="module")
def experiment(watershed):
    return watershed.experiment(*SMALL)


@pytest.fixture(scope="module")
def folder(watershed, experiment, tmp_path_factory) -> Path:
    """The bundle of a network that is not trained, on the simulated area's own scaling."""
    torch.manual_seed(5)
    network = watershed.config(*SMALL).model.build(experiment.spec, spread=False)
    place = {"crs": experiment.cube.grid.crs, "pixel_m": 90.0, "pass_is_evening": True}
    made = Bundle.of(watershed.config(*SMALL), experiment.spec, label_digest="1", cube_digest="2", **place)
    path = tmp_path_factory.mktemp("served") / "model"
    bundle.save(made, network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def model(folder) -> SoilMoistureModel:
    return SoilMoistureModel.load(folder)


def physical(experiment, position: int) -> dict[str, np.ndarray]:
    """A patch as its sources give it, without any of the training's scaling."""
    extent, time, rows, cols = experiment.datasets["val"].place(position)
    moment, layers, spec = experiment.moments[time], experiment.features.layers[extent], experiment.spec
    weather = [name for name in spec.dynamic if not name.endswith(AVAILABLE)]
    values = experiment.field.at_pixels(moment.window, extent, rows, cols, weather)
    fields = dict(zip(weather, np.moveaxis(values, 1, 0), strict=True))
    fixed = {name: values[rows, cols] for name, values in layers.fixed.items()}
    fixed["ndvi"] = layers.on("ndvi", moment.day, rows, cols)
    parts = {"soil": [name for name in fixed if name.startswith("soil_")], "terrain": ["elevation", "slope"]}
    for found in (fields, fixed):
        for name in [*spec.dynamic, *spec.static]:
            source = name.removesuffix(AVAILABLE)
            own = [found[key] for key in parts.get(source, [source]) if key in found]
            if name.endswith(AVAILABLE) and own:
                found[name] = np.isfinite(np.stack(own)).all(axis=0).astype(np.float32)
    return {
        "dynamic": np.stack([fields[name] for name in spec.dynamic], axis=1)[None],
        "static": np.stack([fixed[name] for name in spec.static])[None],
    }


def test_unscaled_patches_give_what_training_sees(experiment, model):
    whole = [
        position
        for position in range(len(experiment.datasets["val"]))
        if physical(experiment, position)["static"].shape[2:] == (10, 10)
    ]
    assert len(whole) > 5
    missing, val = 0, experiment.datasets["val"]
    dataset = PatchDataset(val.patches, val.size, val.retrieval, val.features, val.moments)  # without its margin
    for position in whole[:40]:
        item, inputs = dataset[position], physical(experiment, position)
        missing += int(np.isnan(inputs["dynamic"]).sum() + np.isnan(inputs["static"]).sum())
        dynamic, static = model.scaled(inputs)
        np.testing.assert_array_equal(dynamic[0], item.dynamic.numpy())
        np.testing.assert_array_equal(static[0], item.static.numpy())
        with torch.no_grad():
            expected = model.restored.network(item.dynamic[None], item.static[None]).mean[:, 0].numpy()
        np.testing.assert_array_equal(model.predict(inputs), expected)
    assert missing > 0  # the simulated area has gaps, and they are filled alike


def test_the_example_is_the_training_mean_and_gives_a_map(model, experiment):
    inputs = example(experiment.spec, model.restored.bundle.window)
    dynamic, static = model.scaled(inputs)
    for name, channel in zip(experiment.spec.dynamic, np.moveaxis(dynamic[0], 1, 0), strict=True):
        assert np.abs(channel - (1 if name.endswith(AVAILABLE) else 0)).max() < 1e-2, name
    classes = [i for i, name in enumerate(experiment.spec.static) if name.startswith("soil_") and AVAILABLE not in name]
    assert static[0, classes].sum(axis=0) == pytest.approx(1)
    ssm = model.predict(inputs)
    assert ssm.shape == (1, *inputs["static"].shape[2:])
    assert ssm.dtype == np.float32
    assert ((ssm > 0) & (ssm < 1)).all()


def change(inputs, **values):
    return {**inputs, **values}


def spoiled(inputs, name, position, value):
    values = inputs[name].copy()
    values[position] = value
    return {**inputs, name: values}


def test_what_does_not_fit_is_refused_by_name(model, experiment):
    inputs = example(experiment.spec, model.restored.bundle.window)
    dynamic, static = inputs["dynamic"], inputs["static"]
    slope = experiment.spec.static.index("slope")
    cases = [
        ({"dynamic": dynamic}, "the inputs are 'dynamic', the model takes 'dynamic' and 'static'"),
        ({"weather": dynamic, "static": static}, "the inputs are 'static' and 'weather'"),
        (change(inputs, dynamic=dynamic[:, :, :-1]), r"'dynamic' has \d channels, the model takes \d: precipitation, "),
        (change(inputs, static=static[:, :2]), "'static' has 2 channels"),
        (change(inputs, dynamic=dynamic[:, :1]), "has 1 steps, the model's window has 2"),
        (change(inputs, static=static[..., :1]), "differ in batch or pixels"),
        (change(inputs, static=static[0]), "give 4 dimensions"),
        (change(inputs, dynamic=dynamic[:0]), "none of them empty"),
        (change(inputs, dynamic=[["a"]]), "'dynamic' is not an array of numbers"),
        (spoiled(inputs, "dynamic", (0, 0, 2, 0, 0), np.nan), r"'temperature' has 1 missing values \(NaN\)"),
        (spoiled(inputs, "dynamic", (0, 0, 0, 0, 0), -1), "'precipitation' has negative values"),
        (spoiled(inputs, "static", (0, slope, 0, 0), np.inf), "'slope' has infinite values"),
    ]
    for case, message in cases:
        with pytest.raises(RunError, match=message):
            model.predict(case)


NAMES = ("elevation", "slope", "ndvi", "terrain_available", "ndvi_available")


def scaler() -> Scaler:
    return Scaler(NAMES, np.zeros((5, 1, 1), np.float32), np.ones((5, 1, 1), np.float32))


def channels(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(1, 5, 1, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 2, 3, 1, 1), (1, 2, 3, 1, 1)),
        ((1, 2, 3, 1, 0), (1, 2, 0, 1, 0)),  # a number stood for what is not known
        ((1, 2, np.nan, 1, 0), (1, 2, 0, 1, 0)),
        ((1, np.nan, 3, 0, 1), (1, 0, 3, 0, 1)),  # as in training, elevation stays where only the slope is missing
    ],
)
def test_what_is_not_available_takes_the_training_mean(values, expected):
    assert scaler().scale(channels(*values)).ravel().tolist() == list(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1, np.nan, 3, 1, 1), "'slope' has 1 missing values.*set terrain_available to 0 there"),
        ((1, 2, 3, 1, 0.5), "'ndvi_available' has values other than 0 and 1; give 1 where ndvi is"),
        ((1, 2, 3, np.nan, 1), "'terrain_available' has values other than 0 and 1"),
    ],
)
def test_availability_is_told_by_0_and_1(values, message):
    with pytest.raises(RunError, match=message):
        scaler().scale(channels(*values))


def test_a_model_without_static_channels_takes_none(folder, tmp_path, watershed):
    made, _ = bundle.load(folder)
    spec = FeatureSpec(("precipitation",), (), (0.2,), (0.5,))
    config = watershed.config(*SMALL)
    weights = config.model.build(spec, spread=False).state_dict()
    bundle.save(made.model_copy(update={"channels": spec}), weights, tmp_path / "m")
    model = SoilMoistureModel.load(tmp_path / "m")
    inputs = example(spec, config.window)
    assert list(inputs) == ["dynamic"]
    assert model.predict(inputs).shape == (1, *inputs["dynamic"].shape[3:])
    with pytest.raises(RunError, match=r"the model takes 'dynamic'$"):
        model.predict(inputs | {"static": np.zeros((1, 1, 2, 2))})


def test_weights_of_another_architecture_are_refused_with_their_keys(folder, tmp_path):
    made, weights = bundle.load(folder)
    name = next(iter(weights))
    bundle.save(made, {key: value for key, value in weights.items() if key != name}, tmp_path / "m")
    with pytest.raises(RunError, match=f"are not those of its configuration.*{name}"):
        restore(tmp_path / "m")


@pytest.fixture(scope="module")
def calibration():
    """Of made-up errors of 0.1."""
    rng = np.random.default_rng(0)
    maps = []
    for time in range(12):
        mean = rng.random((8, 8), np.float32)
        label = (mean + 0.1 * rng.normal(size=(8, 8))).clip(0, 1).astype(np.float32)
        maps.append(HeldOutMap(time, 0, mean, label, np.full((8, 8), 5, np.float32), np.full((8, 8), 0.1, np.float32)))
    return Calibration.fit(maps, [2020], "made up")


@pytest.fixture(scope="module")
def sure(folder, calibration, tmp_path_factory) -> SoilMoistureModel:
    """The same model with a calibration."""
    made, weights = bundle.load(folder)
    fitted, tensors = bundle.pack({"calibration": calibration.state()})
    path = tmp_path_factory.mktemp("sure") / "model"
    bundle.save(made.model_copy(update={"fitted": fitted}), {**weights, **tensors}, path)
    return SoilMoistureModel.load(path)


def test_a_calibrated_model_says_how_sure_it_is(sure, calibration, experiment) -> None:
    inputs = physical(experiment, 0)
    found = sure.predict_intervals(inputs, 0.9, [0.6, 0.8])
    np.testing.assert_array_equal(found["ssm"], sure.predict(inputs))
    mean = found["ssm"].astype(float)
    deviation = calibration.scale.deviation(mean, np.array(5.0), np.array(0.1))
    low, high = calibration.interval(mean, deviation, 0.9)
    np.testing.assert_allclose(found["lower"], low, atol=1e-6)
    np.testing.assert_allclose(found["upper"], high, atol=1e-6)
    assert found["exceedance"].shape == (2, *mean.shape)
    np.testing.assert_allclose(found["exceedance"][1], calibration.exceedance(mean, deviation, 0.8), atol=1e-6)
    assert "exceedance" not in sure.predict_intervals(inputs, 0.5, [])
    assert all(values.dtype == np.float32 for values in found.values())


@pytest.mark.parametrize(("level", "thresholds"), [(1.0, []), (-0.1, []), (0.9, [1.2])])
def test_levels_and_thresholds_lie_between_0_and_1(sure, experiment, level, thresholds) -> None:
    with pytest.raises(RunError, match="must be above 0 and below 1, not"):
        sure.predict_intervals(physical(experiment, 0), level, thresholds)


def test_without_a_calibration_there_is_no_interval(model, experiment) -> None:
    with pytest.raises(RunError, match="keeps no calibration"):
        model.predict_intervals(physical(experiment, 0), 0.9, [])


@pytest.mark.parametrize(
    ("channel", "value", "message"),
    [
        ("temperature", 288.0, "channel 'temperature' has a value of 288, and none is outside -89"),
        ("precipitation", 2000.0, "channel 'precipitation' has a value of 2000, and none is outside 0"),
    ],
)
def test_values_that_cannot_be_are_refused(model, experiment, channel, value, message) -> None:
    inputs = physical(experiment, 0)
    inputs["dynamic"][:, :, experiment.spec.dynamic.index(channel)] = value
    with pytest.raises(RunError, match=message):
        model.predict(inputs)


def test_a_sum_over_days_may_be_as_many_times_as_large() -> None:
    one, ones = np.full((1, 1, 1), 2000, np.float32), np.ones((1, 1, 1), np.float32)
    Scaler(("precipitation",), ones, ones, days=3).refuse_impossible(one)
    with pytest.raises(RunError, match="2000"):
        Scaler(("precipitation",), ones, ones).refuse_impossible(one)


def test_what_is_not_available_may_be_anything() -> None:
    names, two = ("ndvi", f"ndvi{AVAILABLE}"), np.ones((2, 1, 1), np.float32)
    Scaler(names, two, two).refuse_impossible(np.array([[[-9999]], [[0]]], np.float32))
    with pytest.raises(RunError, match="-9999"):
        Scaler(names, two, two).refuse_impossible(np.array([[[-9999]], [[1]]], np.float32))
