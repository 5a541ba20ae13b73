from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mlssm.bundle import Bundle
from mlssm.data.dated import DatedLayer
from mlssm.data.layers import ExtentLayers
from mlssm.data.moment import Moment
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError, DataError, RunError
from mlssm.inference.mapper import Mapper, check_pixel, choose_device, fitting_layers, missing_everywhere
from mlssm.jobs.predict import known_moments
from mlssm.weather.stations import VARIABLES

EARLIER, IMAGE, DAY = "2023-01-01", "2023-01-02", "2023-01-03"


def _spec(dynamic: tuple[str, ...], static: tuple[str, ...]) -> FeatureSpec:
    n = len(dynamic) + len(static)
    return FeatureSpec(dynamic, static, (0.0,) * n, (1.0,) * n)


def _moment(missing: str, day: str = DAY) -> Moment:
    window = np.ones((2, 3, len(VARIABLES)))
    window[1, :, [VARIABLES.index(name) for name in missing.split()]] = np.nan
    return Moment(window, np.datetime64(day))


@pytest.mark.parametrize(
    ("static", "missing", "day", "expected"),
    [
        (("slope",), "", DAY, []),
        (("slope",), "wind", DAY, ["wind"]),
        (("slope",), "snow_depth", EARLIER, []),  # neither is an input
        (("slope", "ndvi"), "", EARLIER, ["ndvi"]),
        (("slope", "ndvi", "ndvi_available"), "", EARLIER, []),
        (("slope",), "precipitation", DAY, []),  # has its availability channel
        (("slope", "ndvi"), "wind precipitation", EARLIER, ["wind", "ndvi"]),
    ],
)
def test_what_is_missing_everywhere_stops_a_map_unless_the_model_learnt_to_do_without(
    static: tuple[str, ...], missing: str, day: str, expected: list[str]
) -> None:
    spec = _spec(("precipitation", "wind", "precipitation_available"), static)
    assert missing_everywhere(spec, _moment(missing, day), (_with_ndvi(_layers()),)) == expected


def test_a_value_at_one_station_is_enough() -> None:
    moment = _moment("wind")
    moment.window[1, 2, VARIABLES.index("wind")] = 3
    assert missing_everywhere(_spec(("wind",), ()), moment, (_layers(),)) == []


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("gpu") == choose_device("cuda") == torch.device("cuda")


@pytest.mark.parametrize(("name", "message"), [("tpu", "not known; choose one of"), ("gpu", "no cuda device")])
def test_a_device_that_is_not_there_is_refused(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"accelerator={name}.*{message}"):
        choose_device(name)


def _layers(*classes: int) -> ExtentLayers:
    share = np.array([[1, 0.5, np.nan]], np.float32)
    fixed = {"slope": np.zeros((1, 3), np.float32)} | {f"soil_{code}": share for code in classes}
    return ExtentLayers(fixed, {})


def _with_ndvi(layers: ExtentLayers) -> ExtentLayers:
    image = np.zeros((1, 1, 3), np.int16)
    return replace(layers, dated={"ndvi": DatedLayer(np.array([IMAGE], "datetime64[D]"), image, 1e-4)})


def _trained(train_config: Any) -> Any:
    return train_config("datamodule=opera_rtc", "datamodule.root=.", "features.dynamic=[wind]")


def test_a_soil_class_that_the_area_lacks_covers_nothing_of_it(train_config: Any) -> None:
    spec = _spec(("wind",), ("slope", "soil_1", "soil_2", "soil_3", "soil_available"))
    (filled,) = fitting_layers(spec, (_layers(2),), _trained(train_config).features)
    assert list(filled.fixed) == ["slope", "soil_1", "soil_2", "soil_3"]
    np.testing.assert_array_equal(filled.fixed["soil_1"], [[0, 0, np.nan]])
    np.testing.assert_array_equal(filled.fixed["soil_2"], [[1, 0.5, np.nan]])


def test_layers_that_fit_are_left_as_they_are(train_config: Any) -> None:
    layers = _layers(1, 2)
    (same,) = fitting_layers(
        _spec(("wind",), ("slope", "soil_1", "soil_2")), (layers,), _trained(train_config).features
    )
    assert same == layers


@pytest.mark.parametrize(
    ("classes", "static", "message"),
    [
        ((1, 9), ("slope", "soil_1"), "not known to the model: soil_9"),
        ((), ("slope", "soil_1"), "missing: soil_1"),
        ((1,), ("slope",), "not known to the model: soil_1"),
        ((), ("slope", "ndvi"), "missing: ndvi"),
    ],
)
def test_layers_that_do_not_fit_are_refused(
    classes: tuple[int, ...], static: tuple[str, ...], message: str, train_config: Any
) -> None:
    with pytest.raises(RunError, match=message):
        fitting_layers(_spec(("wind",), static), (_layers(*classes),), _trained(train_config).features)


@pytest.mark.parametrize(
    ("multilook", "metres", "native", "model", "fits"),
    [
        ("block", 90, 30, 90, True),
        ("block", 90, 45, 90, True),
        ("block", 90, 90, 90, True),
        ("block", 90, 20, 90, False),
        ("block", 90, 180, 90, False),
        ("block", 0, 30, 30, True),
        ("block", 0, 10, 30, False),  # without multilooking there is nothing that makes 30 m of 10 m
        ("moving", 90, 30, 30, True),
        ("moving", 90, 10, 30, False),
    ],
)
def test_pixels_have_to_come_to_the_models(
    multilook: str, metres: float, native: float, model: float, fits: bool, train_config: Any
) -> None:
    images = _trained(train_config).retrieval.model_copy(update={"multilook": multilook, "multilook_m": metres})
    cube = SimpleNamespace(grid=SimpleNamespace(pixel=native))
    arguments: Any = (cube, SimpleNamespace(pixel_m=model, images=images))
    if fits:
        check_pixel(*arguments)
        return
    with pytest.raises(RunError, match=f"trained on {model:g} m pixels, which the area's of {native:g} m"):
        check_pixel(*arguments)


@pytest.fixture(scope="module")
def mapper(watershed: Any) -> Mapper:
    experiment = watershed.experiment("model.lag=2")
    place = {"crs": "EPSG:32611", "pixel_m": 90.0, "pass_is_evening": True}
    digests = {"label_digest": "1", "cube_digest": "2"}
    bundle = Bundle.of(watershed.config("model.lag=2"), experiment.spec, **digests, **place)
    return Mapper("run", bundle, experiment.cube, experiment.stack, experiment.features, torch.nn.Identity())


def _changed(bundle: Bundle, **values: Any) -> Bundle:
    return bundle.model_copy(update=values)


def test_a_map_of_the_evening_has_seen_its_day_and_one_of_the_morning_has_not(mapper: Mapper) -> None:
    day, before = np.datetime64("2021-02-03"), np.datetime64("2021-02-02")
    evening = mapper.moment(day)
    assert evening is not None
    first = mapper.cube.weather.days[0]
    position = int((day - first).astype(int))
    np.testing.assert_array_equal(evening.window, mapper.cube.weather.values[position - 1 : position + 1])
    morning, yesterday = (
        replace(mapper, bundle=_changed(mapper.bundle, pass_is_evening=False)).moment(day),
        mapper.moment(before),
    )
    assert morning is not None
    assert yesterday is not None
    np.testing.assert_array_equal(morning.window, yesterday.window)


def test_ndvi_is_that_of_the_latest_image_before_the_day(mapper: Mapper) -> None:
    image = mapper.cube.ndvi_days[20]
    on, after = mapper.moment(image), mapper.moment(image + np.timedelta64(1, "D"))
    ndvi = mapper.features.layers[0].dated["ndvi"]
    assert [ndvi.image(moment.day) for moment in (on, after) if moment] == [19, 20]


def test_a_day_without_weather_has_no_moment(mapper: Mapper) -> None:
    last = mapper.cube.weather.days[-1]
    assert mapper.moment(last + np.timedelta64(3, "D")) is None
    assert mapper.moment(np.datetime64("1999-01-01")) is None


def test_days_that_cannot_be_mapped_are_named(mapper: Mapper, caplog: pytest.LogCaptureFixture) -> None:
    days = np.array(["1999-01-01", "2021-02-03", "2050-01-01"], "datetime64[D]")
    assert list(known_moments(mapper, days)) == [np.datetime64("2021-02-03")]
    assert "2 of 3 days are left out" in caplog.text
    first, last = mapper.cube.weather.days[[0, -1]]
    assert f"1999-01-01: the weather begins on {first}; 2050-01-01: the weather ends on {last}" in caplog.text
    with pytest.raises(DataError, match=r"none of the 2 days \(1999-01-01 to 2050-01-01\).*the last day that"):
        known_moments(mapper, days[[0, 2]])


def test_water_is_what_the_labels_leave_out_as_water(mapper: Mapper) -> None:
    (water,) = mapper.water()
    sigma = mapper.stack.extents[0].backscatter(slice(None), slice(None), slice(None))
    np.testing.assert_array_equal(water, np.nanmean(sigma, axis=0) <= -20)
    assert 0 < water.mean() < 0.2


def test_frost_is_that_of_the_day(mapper: Mapper) -> None:
    cold = _changed(mapper.bundle, images=mapper.bundle.images.model_copy(update={"frozen_below_c": 60}))
    day = np.datetime64("2021-02-03")
    assert replace(mapper, bundle=cold).frozen(day)[0].all()
    assert not mapper.frozen(np.datetime64("2021-08-03"))[0].any()
