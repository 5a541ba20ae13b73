"""The commands as functions, on the tiny simulated area."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import CRS

import mlssm
from mlssm.cube import Cube
from mlssm.errors import DataError, RunError
from mlssm.mapping.arrays import map_array

pytestmark = pytest.mark.slow

DAY = "2021-01-05"


@pytest.fixture
def inside(trained: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A trained project as the working directory, and its run."""
    project, outcome = trained
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return project, mlssm.load_run(outcome.run_id[:8])


def test_a_run_is_told_as_mlflow_has_it(inside: Any) -> None:
    project, run = inside
    kept = project.client.get_run(run.run_id)
    assert (run.status, run.metrics, run.parameters) == ("FINISHED", kept.data.metrics, kept.data.params)
    assert run.verdict == kept.data.tags["mlssm.verdict"] != ""
    assert "metrics" not in repr(run)
    assert (run.model.model.title, run.model.window.lag, run.model.pixel_m) == ("ConvLSTM", 2, 90)
    assert run.report.is_relative_to(project.folder / "mlruns")  # not a copy
    assert run.report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(RunError, match="has no artifact 'nothing'"):
        run.artifact("nothing")


def test_a_map_in_memory_is_the_map_that_predict_writes(inside: Any, tmp_path: Path) -> None:
    _, run = inside
    found = run.predict_map(DAY)
    (path,) = mlssm.predict(run=run.run_id, dates=[DAY], output=tmp_path)
    with rasterio.open(path) as source:
        names = [source.tags(band)["name"] for band in source.indexes]
        assert list(found.band.values) == names
        np.testing.assert_array_equal(found.values, source.read())
        assert CRS.from_wkt(found.spatial_ref.attrs["crs_wkt"]) == CRS.from_user_input(source.crs)
        assert (found.x[0], found.y[0]) == source.xy(0, 0)
        assert found.attrs == source.tags()
        assert tuple(found.description.values) == source.descriptions


def test_bytes_are_unpacked(inside: Any, tmp_path: Path) -> None:
    _, run = inside
    whole = run.predict_map(DAY)
    (path,) = mlssm.predict({"products.uint8": True}, run=run.run_id, dates=[DAY], output=tmp_path)
    packed = map_array(path)
    assert packed.dtype == np.float32
    np.testing.assert_allclose(packed.sel(band="ssm"), whole.sel(band="ssm"), atol=0.0026)
    np.testing.assert_array_equal(packed.sel(band="flags"), whole.sel(band="flags"))


def test_a_map_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "ssm_20230101.tif").write_text("no map")
    with pytest.raises(DataError, match=r"ssm_20230101.tif cannot be read .* give a map that predict wrote"):
        map_array(tmp_path / "ssm_20230101.tif")


def test_further_days_use_the_model_that_is_open(inside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = inside
    first = run.predict_map(DAY, level=0.5)
    monkeypatch.setattr("mlssm.jobs.open_run.find_place", None)
    second = run.predict_map("2021-01-06", level=0.5)
    assert second.attrs["date"] == "2021-01-06"
    assert not np.array_equal(first.sel(band="ssm"), second.sel(band="ssm"), equal_nan=True)
    with pytest.raises(DataError, match="none of the 1 days"):
        run.predict_map("1999-01-01", level=0.5)


def test_an_area_is_opened_decoded_and_placed(inside: Any, tiny: tuple[str, ...]) -> None:
    project, _ = inside
    found, cube = mlssm.open_area(*tiny), Cube.open(project.cube)
    assert isinstance(found, xr.Dataset)
    np.testing.assert_allclose(
        found.backscatter.sel(polarisation="VH")[3], cube.backscatter(3, "VH", cube.grid.full), rtol=1e-6
    )
    np.testing.assert_array_equal(found.static.sel(feature="slope"), cube.static("slope", cube.grid.full))
    rain = found.weather.sel(variable="precipitation", station=cube.weather.ids[1])
    np.testing.assert_array_equal(rain, cube.weather.values[:, 1, cube.weather.variables.index("precipitation")])
    np.testing.assert_array_equal(found.longitude, cube.weather.longitude)
    assert CRS.from_wkt(found.spatial_ref.attrs["crs_wkt"]) == CRS.from_user_input(cube.grid.crs)
    assert found.time.values[0] == cube.times[0]
    assert found.attrs["time_zone"] == cube.manifest.time_zone


def test_training_gives_the_run(inside: Any, tiny: tuple[str, ...]) -> None:
    project, _ = inside
    run = mlssm.train(*tiny, {"trainer.max_epochs": 1, "tracking.experiment": "of functions"}, seed=3)
    (kept,) = project.runs("of functions")
    assert (run.run_id, run.parameters["seed"]) == (kept.info.run_id, "3")
    assert run == mlssm.load_run("latest", {"tracking.experiment": "of functions"})
    assert np.isfinite(run.predict_map(DAY).sel(band="ssm")).any()


def test_what_was_retrieved_lies_on_the_grid_of_the_maps(inside: Any) -> None:
    project, run = inside
    cube = Cube.open(project.cube)
    first, last = str(cube.local_days[2]), str(cube.local_days[5])
    found, area = run.retrieved_maps(first, last), run.open_area()
    assert list(found.time.values.astype("datetime64[D]")) == sorted(set(cube.local_days[2:6]))
    np.testing.assert_array_equal(found.x, area.x)
    np.testing.assert_array_equal(found.y, area.y)
    known = found.values[np.isfinite(found.values)]
    assert known.size
    assert known.min() >= 0
    assert known.max() <= 1
    blocks = found.values[0][:3, :3]  # 90 m of 30 m pixels
    assert np.isfinite(blocks).all()
    assert len(np.unique(blocks)) == 1
    with pytest.raises(DataError, match="no image from 1999-01-01 to 1999-01-02: the area has"):
        run.retrieved_maps("1999-01-01", "1999-01-02")
