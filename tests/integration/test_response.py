"""The default model from training to maps, here and elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

pytestmark = pytest.mark.slow

OVERRIDES = ("model=response", "split=by_season", "split.test=[2023]", "split.val=[2022]", "features.previous=nowcast")


@pytest.fixture(scope="module")
def four_seasons(watersheds: Callable[..., Any]) -> Any:
    """Of which two are trained on: the closed form chooses by held-out training seasons."""
    return watersheds("datamodule.simulation.seasons=4")


@pytest.fixture(scope="module")
def response(
    tiny: tuple[str, ...], four_seasons: Any, tmp_path_factory: pytest.TempPathFactory, trained: Any
) -> tuple[Any, Any]:
    project = type(trained[0])(tmp_path_factory.mktemp("response"))
    shutil.copytree(four_seasons.root, project.folder / "data" / "simulated", copy_function=os.link)
    quick = [item for item in tiny if not item.startswith("datamodule.")]
    area = [item for item in four_seasons.overrides if item.startswith("datamodule.simulation.")]
    outcome = project.run("train", *quick, *area, *OVERRIDES)
    assert outcome.code == 0, outcome.stderr
    assert "simulated watershed in data/simulated is up to date" in outcome.stderr
    return project, outcome


def read(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    with rasterio.open(path) as source:
        return source.read(1), source.tags()


def test_the_response_stands_in_the_table_beside_what_is_learnt_on_top(response: Any) -> None:
    for name in ("Response, nowcast", "response, plain forecast", "response, nowcast", "antecedent rain"):
        assert any(line.strip().startswith(name) for line in response[1].stdout.splitlines())
    assert "have no earlier image of their season, and keep the plain forecast" in response[1].stderr
    assert "untrained: val/natural/rmse" in response[1].stderr


def test_a_map_is_a_nowcast_and_says_how_old_the_latest_image_is(
    response: Any, four_seasons: Any, tmp_path: Path
) -> None:
    project, outcome = response
    cube = four_seasons.cube
    image = cube.local_days[cube.local_days > np.datetime64("2024-01-01")][0]
    days = [image, image + 1, image + 4, np.datetime64("2023-08-20")]
    told = f"dates=[{','.join(str(day) for day in days)}]"
    done = project.run("predict", f"run={outcome.run_id}", told, f"output={tmp_path}")
    assert done.code == 0, done.stderr
    found = [read(tmp_path / f"ssm_{str(day).replace('-', '')}.tif") for day in days]
    before = (image - cube.local_days[cube.local_days < image]).astype(int).min()
    ages = [float(tags["previous_image_age_days"].split()[0]) for _, tags in found[:3]]
    assert ages[0] >= before  # the day's own image is not one of them
    assert ages[1] == 1
    assert ages[2] == 4
    assert all(tags["kind"] == "nowcast" for _, tags in found)
    assert all(tags["pixel_memory"] == "in 1 of 1 extents" for _, tags in found)
    for values, _ in found:
        known = values[np.isfinite(values)]
        assert known.size > 0.8 * values.size
        assert 0 <= known.min() < known.max() <= 1


def test_elsewhere_the_map_is_the_mean_extents_and_says_so(response: Any, tiny_area: Path, tmp_path: Path) -> None:
    project, outcome = response
    area = tmp_path / "area"
    shutil.copytree(tiny_area, area)
    (area / "simulation.json").unlink(missing_ok=True)
    for path in (area / "sentinel1").glob("*.tif"):  # the same pixels, 270 m east
        with rasterio.open(path, "r+") as source:
            source.transform = source.transform @ source.transform.translation(9, 0)
    done = project.run(
        "predict", f"run={outcome.run_id}", "dates=2020-12-02", f"root={area}", f"output={tmp_path / 'maps'}"
    )
    assert done.code == 0, done.stderr
    assert "none of their pixels is known, and the mean extent's response is used" in done.stderr.replace("\n", " ")
    values, tags = read(tmp_path / "maps" / "ssm_20201202.tif")
    assert tags["pixel_memory"] == "none: the mean extent's response"
    assert np.isfinite(values).any()


def test_the_bundle_keeps_the_response_and_its_channels_are_served(response: Any) -> None:
    folders = list((response[0].folder / "mlruns").rglob("bundle.json"))
    described = json.loads(folders[0].read_text())["bundle"]
    assert described["fitted"]["forecaster"]["start_month"] == 9
    assert {"base", "mean_ssm", "previous_age"} <= set(described["channels"]["static"])


def test_a_map_marks_pixels_that_never_carried_a_label(response: Any, tmp_path: Path) -> None:
    project, outcome = response
    done = project.run("predict", f"run={outcome.run_id}", "dates=2023-12-02", f"output={tmp_path}")
    assert done.code == 0, done.stderr
    with rasterio.open(tmp_path / "ssm_20231202.tif") as source:
        ssm, labelled = source.read([1, 2])
        rest = {source.tags(number)["name"]: source.read(number) for number in source.indexes[2:]}
        assert source.descriptions[1].startswith("1 where the pixel carried labels in training")
    known = np.isfinite(ssm)
    assert np.array_equal(known, np.isfinite(labelled))
    assert set(np.unique(labelled[known])) == {0, 1}
    assert 0.5 < labelled[known].mean() < 1
    assert {"lower", "upper", "standard_error", "image_age", "flags"} <= rest.keys()
    assert (rest["lower"] <= rest["upper"])[known].all()
    assert np.isfinite(rest["standard_error"][known]).all()  # where no label was, too
    without = np.isnan(rest["image_age"]) & known
    assert ((rest["flags"].astype(int) & 8 > 0) == without)[known].all()
