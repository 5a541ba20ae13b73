"""From an area's layers to the channels of a model: one small area with all kinds of them."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from mlssm import bundle
from mlssm.bundle import Bundle
from mlssm.config import TrainConfig, parse
from mlssm.data.assemble import assemble
from mlssm.data.layers import extent_layers
from mlssm.errors import ConfigError, RunError
from mlssm.inference.mapper import fitting_layers
from mlssm.inference.serving import SoilMoistureModel, example
from mlssm.prepare.area import prepare
from mlssm.variables import named, source_of, unit_of

LAYERS = {
    "clay": {"paths": "clay.tif", "kind": "continuous", "scale": 0.1, "unit": "%"},
    "land_cover": {"_target_": "torchgeo.datasets.NLCD", "paths": "nlcd", "kind": "classes", "years": [2021]},
    "lai": {"paths": "lai", "kind": "dated", "max_gap_days": 30},
}
STATIC = ["elevation", "northness", "soil", "ndvi", "ndvi_age", "clay", "land_cover", "lai", "lai_age"]
TOLD = (
    *("datamodule=opera_rtc", "datamodule.root=.", "model=convlstm", "model.lag=2", "patches.size=4"),
    *("retrieval.min_dates=2", "split=by_date", "split.val=[2023-01-02]", "split.test=[2023-01-04]"),
    *("datamodule.ndvi=ndvi", "features.dynamic=[precipitation]"),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, area_files_in: Any) -> Any:
    files = area_files_in(tmp_path_factory.mktemp("layers"))
    random = np.random.default_rng(0)
    for day in range(1, 7):
        files.image(0.02 * day * random.gamma(40, 0.025, (24, 24)), f"202301{day:02d}T015902")
    files.weather()
    files.raster("dem/dem.tif", (100 * random.random((24, 24))).astype(np.float32))
    mukeys = (3_300_000 + np.arange(24 * 24).reshape(24, 24) % 80).astype(np.uint32)
    files.raster("soil/mukey.tif", mukeys, nodata=None)
    groups = [f"{3_300_000 + key},{'AB'[key % 2]}" for key in range(80)]
    (files.root / "soil/muaggatt.csv").write_text("\n".join(["mukey,hydgrpdcd", *groups]) + "\n", encoding="utf-8")
    files.raster("clay.tif", (200 + 100 * random.random((24, 24))).astype(np.int16), nodata=-1)
    cover = np.kron([[41, 42], [90, 41]], np.ones((12, 12))).astype(np.uint8)
    files.raster("nlcd/Annual_NLCD_LndCov_2021_CU_C1V1.tif", cover, nodata=250)
    for day, value in (("20221220", 1.0), ("20230103", 3.0)):
        lai = np.full((24, 24), value, np.float32)
        lai[:4, :4] = np.nan if day == "20230103" else value
        files.raster(f"lai/lai_{day}.tif", lai)
        files.raster(f"ndvi/ndvi_{day}.tif", lai / 5)
    return files


@pytest.fixture(scope="module")
def config(files: Any, composed: Any) -> Any:
    def make(**changes: Any) -> TrainConfig:
        values = composed("train", *TOLD)
        area = values["datamodule"] | {"root": str(files.root), "cubes": str(files.root.parent / "cubes")}
        area |= {"soil": {"folder": "soil", "table": {"file": "soil/muaggatt.csv"}}, "layers": LAYERS}
        values |= {"datamodule": area | changes, "features": values["features"] | {"static": STATIC}}
        return parse(TrainConfig, values)

    return make


@pytest.fixture(scope="module")
def experiment(config: Any) -> Any:
    typed = config()
    return assemble(prepare(typed.datamodule, "error"), typed)


CHANNELS = (
    *("elevation", "northness", "clay", "soil_A", "soil_B", "land_cover_41", "land_cover_42", "land_cover_90"),
    *("ndvi", "ndvi_age", "lai", "lai_age"),
)


def test_layers_become_channels_under_their_names(experiment: Any) -> None:
    cube, spec = experiment.cube, experiment.spec
    assert cube.manifest.features == ("elevation", "slope", "northness", "soil", "clay", "land_cover")
    assert cube.manifest.classes == {"soil": {1: "A", 2: "B"}}
    assert cube.manifest.dated == ("lai",)
    assert spec.static[: len(CHANNELS)] == CHANNELS
    assert set(spec.static[len(CHANNELS) :]) == {"terrain_available"}  # northness has no value at the DEM's edge
    (extent,) = experiment.features.layers
    for source in ("soil", "land_cover"):
        shares = [values for name, values in extent.fixed.items() if source_of(name) == source]
        np.testing.assert_allclose(np.sum(shares, axis=0), 1, rtol=1e-6)
    means = dict(zip((*spec.dynamic, *spec.static), spec.means, strict=True))
    assert 20 < means["clay"] < 30
    assert means["land_cover_41"] == 0
    assert (unit_of("clay"), unit_of("lai_age"), named("land_cover_41").name) == ("%", "days", "land_cover")


def test_a_cube_is_known_by_the_files_of_its_layers_and_tables(experiment: Any, files: Any) -> None:
    names = ("clay.tif", "nlcd/Annual_NLCD_LndCov_2021_CU_C1V1.tif", "lai/lai_20221220.tif", "soil/muaggatt.csv")
    assert set(names) <= experiment.cube.manifest.files.keys()
    assert experiment.cube.manifest.gap_days == {"ndvi": 60, "lai": 30}


def test_a_dated_layer_is_that_of_the_day_before_with_gaps_from_earlier(experiment: Any) -> None:
    days = experiment.cube.local_days
    (extent,) = experiment.features.layers
    of_day = {str(day): extent.on("lai", day) for day in days}
    assert (of_day["2023-01-03"] == 1).all(), "the image of the day itself is not known"
    later = of_day["2023-01-04"]
    assert (later[0, 0], later[-1, -1]) == (1, 3)
    age = extent.on("lai_age", np.datetime64("2023-01-04"))
    assert (age[0, 0], age[-1, -1]) == (15, 1)


def test_a_patch_has_the_layers_scaled(experiment: Any) -> None:
    spec, data = experiment.spec, experiment.datasets["train"]
    extent, time, rows, cols = data.place(0)
    item, layers = data[0], experiment.features.layers[extent]
    assert torch.isfinite(item.static).all()
    for name in ("clay", "land_cover_41", "lai", "lai_age"):
        at = spec.static.index(name)
        mean, std = spec.means[len(spec.dynamic) + at], spec.stds[len(spec.dynamic) + at]
        day = experiment.cube.local_days[time]
        values = layers.fixed[name][rows, cols] if name in layers.fixed else layers.on(name, day, rows, cols)
        wanted = (values - mean) / std
        edge = data.margin
        inner = item.static[at, edge : edge + wanted.shape[0], edge : edge + wanted.shape[1]]
        np.testing.assert_allclose(inner, wanted, atol=1e-5)


def test_a_bundle_carries_its_layers_and_is_served(experiment: Any, config: Any, tmp_path: Any) -> None:
    typed, spec = config(), experiment.spec
    torch.manual_seed(0)
    network = typed.model.build(spec, spread=False)
    place = {"crs": "EPSG:32611", "pixel_m": 30.0, "pass_is_evening": True}
    made = Bundle.of(typed, spec, label_digest="1", cube_digest="2", **place)
    bundle.save(made, network.state_dict(), tmp_path / "model")
    told = json.loads((tmp_path / "model" / "bundle.json").read_text(encoding="utf-8"))
    assert told["bundle"]["datamodule"]["layers"]["land_cover"]["_target_"] == "torchgeo.datasets.NLCD"
    found, _ = bundle.load(tmp_path / "model")
    assert found.datamodule.layers == typed.datamodule.layers
    served = SoilMoistureModel.load(tmp_path / "model").predict(example(spec, found.window))
    assert np.isfinite(served).all()


def test_an_area_without_the_models_layer_is_refused(experiment: Any, config: Any) -> None:
    lacking = {name: layer for name, layer in LAYERS.items() if name != "clay"}
    with pytest.raises(ConfigError, match=r"features\.static names 'clay', and datamodule\.layers has no such layer"):
        config(layers=lacking)
    wanted = tuple(name for name in STATIC if name not in ("clay", "lai"))
    layers = extent_layers(experiment.cube, experiment.stack.working, wanted)
    with pytest.raises(RunError, match=r"static channels missing: clay, lai$"):
        fitting_layers(experiment.spec, layers, config().features)


def test_another_area_has_other_classes_under_the_same_names(experiment: Any, config: Any) -> None:
    """Names tell classes, not the numbers that a cube keeps them by."""
    layers = extent_layers(experiment.cube, experiment.stack.working, tuple(STATIC))
    fixed = {name: values for name, values in layers[0].fixed.items() if name not in ("soil_A", "land_cover_90")}
    other = type(layers[0])(fixed, layers[0].dated, layers[0].of_dates)
    (filled,) = fitting_layers(experiment.spec, (other,), config().features)
    assert filled.channels == list(CHANNELS)
    assert (filled.fixed["soil_A"] == 0).all()
    fixed["land_cover_95"] = fixed["land_cover_41"]
    with pytest.raises(RunError, match="not known to the model: land_cover_95"):
        fitting_layers(experiment.spec, (type(other)(fixed, other.dated, other.of_dates),), config().features)


def test_layers_of_the_areas_own_file_are_known_to_the_features(composed: Any, tmp_path: Any) -> None:
    (tmp_path / "area.yaml").write_text(
        "format: 1\nlayers:\n  clay: {paths: clay.tif, kind: continuous, scale: 0.1}\n", encoding="utf-8"
    )
    told = (*TOLD, f"datamodule.root={tmp_path}", "features.static=[elevation,clay]")
    typed = parse(TrainConfig, composed("train", *told))
    assert typed.datamodule.layers["clay"].paths == ("clay.tif",)
    over = parse(TrainConfig, composed("train", *told, "+datamodule.layers.clay.scale=1"))
    assert (over.datamodule.layers["clay"].scale, over.datamodule.layers["clay"].kind) == (1, "continuous")


def test_the_areas_own_file_chooses_no_code(composed: Any, tmp_path: Any) -> None:
    area = "format: 1\nlayers:\n  own: {paths: a.tif, kind: continuous, _target_: evil.module.Layer}\n"
    (tmp_path / "area.yaml").write_text(area, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"evil\.module\.Layer is a class that torchgeo does not bring, and no code"):
        parse(TrainConfig, composed("train", *TOLD, f"datamodule.root={tmp_path}"))
