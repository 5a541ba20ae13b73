import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from mlssm import variables
from mlssm.variables import Variable, back, check_feature, named, of_kind, source_of, transformed, unit_of


def test_every_channel_has_what_others_read() -> None:
    for item in of_kind("daily", "fixed", "classes", "dated"):
        assert item.low < item.high
        assert item.unit
        assert item.long_name
        assert named(item.name) is item


def test_classes_and_availability_are_named_after_their_source() -> None:
    assert source_of("elevation") == source_of("slope") == "terrain"
    assert source_of("soil_12") == source_of("soil") == "soil"
    assert source_of("ndvi") == "ndvi"
    assert source_of("terrain_available") == "terrain_available"
    with pytest.raises(KeyError):
        named("soil_available")
    assert unit_of("soil_3") == "share, 0..1"
    assert unit_of("soil_available") == "0 or 1"


def test_rain_alone_is_skewed() -> None:
    values = np.array([0.0, 1.0, 99.0])
    np.testing.assert_array_equal(transformed("precipitation", values), np.log1p(values))
    np.testing.assert_array_equal(transformed("temperature", values), values)
    assert back("precipitation", float(np.log1p(7.0))) == pytest.approx(7)
    assert back("slope", 7.0) == 7


def test_sums_of_a_window_have_the_unit_of_a_sum() -> None:
    assert unit_of("precipitation", aggregated=True) == "mm in the window"
    assert unit_of("wind", aggregated=True) == "m/s"
    assert unit_of("precipitation") == "mm/day"


def test_what_is_no_feature_is_refused_with_what_is() -> None:
    assert check_feature("wind", "daily") == "wind"
    with pytest.raises(ValueError, match=r"Input should be 'precipitation', .*; did you mean 'temperature'"):
        check_feature("temprature", "daily")
    with pytest.raises(ValueError, match="Input should be"):
        check_feature("snow_depth", "daily")  # serves masks alone
    with pytest.raises(
        ValueError, match=r"Input should be 'elevation', 'slope', .*'wetness', 'soil', 'ndvi', 'ndvi_age'"
    ):
        check_feature("wind", "fixed", "classes", "dated", "age")


def test_a_name_is_given_once_and_before_others_have_read() -> None:
    with pytest.raises(ValueError, match="already"):
        variables.add(Variable("slope", "slope", "m", "fixed", 0, 1))
    with pytest.raises(ValueError, match="before importing other modules"):
        variables.add(Variable("aspect", "aspect", "degrees", "fixed", 0, 360))


# one weather variable and one static feature: a record each, and how they are read
ADDED = """
from mlssm import variables
variables.add(variables.Variable("radiation", "shortwave radiation", "MJ/m2/day", "daily", 0, 50, summed=True))
variables.add(variables.Variable("facing", "which way it falls", "-1..1", "fixed", -1, 1, group="terrain"))
import numpy as np
from mlssm.sources.weather.ghcn import ELEMENTS, Element
from mlssm.sources.terrain import TERRAIN
ELEMENTS.append(Element("SRAD", "radiation", "MJ/m2", 1.0, 0.0, 50.0, False, whole=False))
TERRAIN["facing"] = lambda elevation, pixel: np.where(np.gradient(elevation, axis=0) > 0, 1, -1).astype(np.float32)
"""
USED = """
import sys, json
from pathlib import Path
from typing import Any
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from mlssm.bundle import Bundle
from mlssm.config import TrainConfig, parse
from mlssm.data.assemble import assemble
from mlssm.inference.serving import Scaler
from mlssm.jobs.area import open_area
from mlssm.variables import unit_of
root = Path(sys.argv[1])
told = ["datamodule=opera_rtc", f"datamodule.root={root}", f"datamodule.cubes={root.parent / 'cubes'}", "model.lag=2"]
told += ["model=convlstm", "features.dynamic=[precipitation,radiation]", "features.static=[elevation,facing]"]
told += ["patches.size=4", "retrieval.min_dates=2", "datamodule.soil=null", "datamodule.ndvi=null"]
told += ["split=by_date", "split.val=[2023-01-02]", "split.test=[2023-01-04]"]
with initialize_config_dir(sys.argv[2], version_base="1.3"):
    config = parse(TrainConfig, OmegaConf.to_container(compose("train", told), resolve=True))
cube = open_area(config.datamodule, "error")
experiment = assemble(cube, config)
spec, batch = experiment.spec, experiment.datasets["train"][0]
at = spec.dynamic.index("radiation")
print(json.dumps({
    "variables": cube.manifest.variables, "features": cube.manifest.features,
    "dynamic": spec.dynamic, "static": spec.static,
    "shapes": [list(batch.dynamic.shape[:2]), list(batch.static.shape[:1])],
    "mean": spec.means[at], "unit": unit_of("radiation"), "window": unit_of("radiation", aggregated=True),
    "facing": sorted(set(np.unique(cube.static("facing", cube.extents[0])[5:-5, 5:-5]).tolist())),
}))
"""


@pytest.mark.exhaustive
def test_a_weather_variable_and_a_static_feature_are_a_record_and_a_reader_each(
    area_files: Any, conf_folder: str
) -> None:
    random = np.random.default_rng(0)
    for day in range(1, 7):
        area_files.image(0.02 * day * random.gamma(40, 0.025, (24, 24)), f"202301{day:02d}T015902")
    area_files.raster("dem/dem.tif", (100 * random.random((24, 24))).astype(np.float32))
    for number, path in enumerate(sorted(area_files.weather().glob("*.csv"))):
        head, *rows = path.read_text().splitlines()
        rows = [f"{row},{12 + number % 2}.5" for row in rows]
        path.write_text("\n".join([f"{head},SRAD", *rows]) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", ADDED + USED, str(area_files.root), conf_folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]

    found = json.loads(done.stdout.splitlines()[-1])
    assert found["variables"][-1] == "radiation"
    assert set(found["features"]) >= {"elevation", "slope", "facing"}
    assert found["dynamic"][:2] == ["precipitation", "radiation"]
    assert found["static"][:2] == ["elevation", "facing"]
    assert found["shapes"][0][0] == 2
    assert 12.5 <= found["mean"] <= 13.5
    assert (found["unit"], found["window"]) == ("MJ/m2/day", "MJ/m2 in the window")
    assert set(found["facing"]) <= {-1.0, 1.0}
