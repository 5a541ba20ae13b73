"""docs/extending.md: its own model, loss, source and variables, written out and used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from tests.markdown_blocks import write_named

import mlssm
from mlssm.config import TrainConfig, parse
from mlssm.errors import ConfigError

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "extending.md"
OPERA = re.compile(r".*_T(?P<orbit>\d{3})-\d+-IW\d_(?P<date>\d{8}T\d{6})Z_.*_(?P<platform>S1\w)_.*_(?P<pol>V[VH])\.tif")
QUICK = (
    *("trainer.max_epochs=1", "trainer.accelerator=cpu", "model.lag=2", "split=by_date", "patches.size=10"),
    *("retrieval.multilook_m=90", "retrieval.multilook=block", "evaluation.draws=100", "datamodule.root=area"),
)


@pytest.fixture
def extended(tmp_path: Path, tiny_area: Path) -> Path:
    """A folder with the page's files, and an area in `area` whose images have the page's names."""
    assert len(write_named(PAGE, tmp_path)) == 9
    (tmp_path / "area" / "gamma0").mkdir(parents=True)
    for path in (tiny_area / "sentinel1").glob("*.tif"):
        if match := OPERA.fullmatch(path.name):
            name = f"{match['platform']}_{match['date']}_{match['orbit']}_{match['pol']}.tif"
            os.link(path, tmp_path / "area" / "gamma0" / name)
    (tmp_path / "area" / "dem").symlink_to(tiny_area / "dem")
    _weather(tiny_area / "weather", tmp_path / "area" / "weather")
    _canopy(next((tiny_area / "dem").glob("*.tif")), tmp_path / "area" / "canopy")
    return tmp_path


def _weather(source: Path, target: Path) -> None:
    """The stations with a column of pan evaporation, 4.5 mm on every day."""
    target.mkdir()
    for path in source.glob("*.csv"):
        pd.read_csv(path, dtype=str).assign(EVAP="45").to_csv(target / path.name, index=False)


def _canopy(like: Path, target: Path) -> None:
    """Digital numbers of 60 all over a DEM's extent."""
    target.mkdir()
    with rasterio.open(like) as source:
        profile = source.profile | {"dtype": "uint8", "nodata": 255, "driver": "GTiff"}
        profile = {key: profile[key] for key in ("driver", "dtype", "nodata", "crs", "transform", "width", "height")}
    with rasterio.open(target / "canopy_2020.tif", "w", count=1, **profile) as file:
        file.write(np.full((1, file.height, file.width), 60, np.uint8))


@pytest.mark.exhaustive
def test_all_of_the_page_trains_together(extended: Path) -> None:
    layer = "{_target_: my_extras.layers.Canopy, paths: [canopy], kind: continuous}"
    told = [
        *("--config-dir=my_conf", "datamodule=ours", "model=slopes", "loss=pinball", *QUICK),
        f"datamodule.layers.canopy={layer}",
        "features.dynamic=[precipitation,evapotranspiration,pan_evaporation]",
        "features.static=[elevation,prominence,canopy]",
    ]
    environment = {**os.environ, "MLSSM_PLUGINS": "my_extras.variables", "PYTHONPATH": _path(extended)}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), *told],
        **{"cwd": extended, "env": environment, "capture_output": True, "text": True, "timeout": 300},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(extended)
        patch.syspath_prepend(str(extended))
        run = mlssm.load_run()
        assert (run.parameters["loss.name"], run.parameters["loss.settings.quantile"]) == ("pinball", "0.7")
        means = _means(run.artifact("model/bundle.json"))
    assert means["pan_evaporation"] == pytest.approx(4.5)
    assert means["canopy"] == pytest.approx(30)
    assert {"prominence", "elevation"} <= means.keys()


def _means(bundle: Path) -> dict[str, float]:
    """Training mean of each channel; read as text, as this process does not know the page's variables."""
    import json

    channels = json.loads(bundle.read_text(encoding="utf-8"))["bundle"]["channels"]
    return dict(zip((*channels["dynamic"], *channels["static"]), channels["means"], strict=True))


def _path(folder: Path) -> str:
    return os.pathsep.join([str(folder), str(REPOSITORY / "src")])


def test_a_service_fills_the_area(extended: Path, tiny_area: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(extended)
    monkeypatch.syspath_prepend(str(extended))
    (extended / "data" / "area").mkdir(parents=True)
    (extended / "area" / "weather").rename(extended / "data" / "area" / "weather")
    with rasterio.open(next((tiny_area / "sentinel1").glob("*VV.tif"))) as image:
        west, south, east, north = rasterio.warp.transform_bounds(image.crs, "EPSG:4326", *image.bounds)
    archive = {"datamodule": "archive", "datamodule.origin.backscatter.settings.folder": tiny_area / "sentinel1"}
    place = {"area": [west, south, east, north], "dates": "2020-09-01/2021-08-31"}
    found = mlssm.open_area("hydra.searchpath=[file://my_conf]", archive, place)
    assert np.isfinite(found.backscatter.isel(time=0)).any()
    copied = {path.name for path in (extended / "data" / "area" / "backscatter").iterdir()}
    assert copied == {path.name for path in (tiny_area / "sentinel1").glob("*.tif")}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"function": "nowhere.loss"}, r"loss.function=nowhere.loss cannot be imported \(No module named 'nowhere'\)"),
        ({"function": "os.sep"}, r"loss.function=os.sep is no function"),
        ({"function": "math.exp", "name": "mse"}, "give an own one another name"),
        ({"function": None}, "loss.name=mine is none of huber, mse, balanced_mse, nll"),
    ],
)
def test_a_loss_that_is_none_is_refused(composed: Any, wrong: dict[str, Any], message: str) -> None:
    values = composed("train")
    with pytest.raises(ConfigError, match=message):
        parse(TrainConfig, {**values, "loss": {"name": "mine", **wrong}})


def test_a_plugin_that_is_not_there_is_told() -> None:
    environment = {**os.environ, "MLSSM_PLUGINS": "nowhere.at_all"}
    told = subprocess.run([sys.executable, "-c", "import mlssm"], env=environment, capture_output=True, text=True)
    assert "MLSSM_PLUGINS=nowhere.at_all: nowhere.at_all cannot be imported" in told.stderr
