"""Maps from a trained run."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from mlssm.config import SimulationConfig
from mlssm.cube import Cube
from mlssm.files import _host
from mlssm.mapping.geotiff import read_values
from mlssm.origins.simulation.simulate import simulate

pytestmark = pytest.mark.slow

Array = npt.NDArray[np.float32]
PNG = b"\x89PNG\r\n\x1a\n"


def _read(path: Path) -> Array:
    with rasterio.open(path) as source:
        values: Array = source.read(1)
    return values


def _maps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if path.suffix == ".tif")


@pytest.fixture(scope="module")
def maps(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One map by the run's id, on a day without an image."""
    project, outcome = trained
    day = np.datetime64("2020-12-02")
    assert day not in Cube.open(project.cube).local_days
    folder = tmp_path_factory.mktemp("maps")
    done = project.run("predict", f"run={outcome.run_id}", f"dates=[{day}]", f"output={folder}")
    assert done.code == 0, done.stderr
    return folder


def test_a_map_is_a_valid_cog_with_a_preview_a_catalogue_and_a_viewer(maps: Path) -> None:
    endings = ("json", "png", "qml", "tif")
    assert {path.name for path in maps.iterdir()} == {
        "collection.json",
        "index.html",
        *(f"ssm_20201202.{ending}" for ending in endings),
    }
    valid, errors, warnings = cog_validate(maps / "ssm_20201202.tif", quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    assert (maps / "ssm_20201202.png").read_bytes().startswith(PNG)


def test_a_command_a_day_adds_to_the_page_the_catalogue_and_the_root_zone(trained: Any, tmp_path: Path) -> None:
    project, outcome = trained
    told = f"run={outcome.run_id}", "products.root_zone_days=5"
    for folder, dates in ("daily", "[2020-12-02]"), ("daily", "[2020-12-03]"), ("at once", "2020-12-02/2020-12-03"):
        done = project.run("predict", *told, f"dates={dates}", f"output={tmp_path / folder}")
        assert done.code == 0, done.stderr
    daily, at_once = tmp_path / "daily", tmp_path / "at once"
    for name in ("swi_20201202.tif", "swi_20201203.tif", "collection.json", "index.html"):
        assert (daily / name).read_bytes() == (at_once / name).read_bytes(), name
    assert "2020-12-02" in (daily / "index.html").read_text()


def test_a_map_lies_on_the_grid_of_the_images(maps: Path, trained: Any) -> None:
    grid = Cube.open(trained[0].cube).grid
    image = next((trained[0].folder / "data/simulated/sentinel1").glob("*VV.tif"))
    with rasterio.open(maps / "ssm_20201202.tif") as source, rasterio.open(image) as original:
        assert source.crs == original.crs
        assert source.res == original.res
        assert source.transform == grid.transform
        assert source.shape == grid.shape
        assert np.isnan(source.nodata)
        # whole pixels between the corners of map and image
        assert ((source.bounds.left - original.bounds.left) / source.res[0]).is_integer()
        assert ((source.bounds.top - original.bounds.top) / source.res[0]).is_integer()


def test_values_are_ssm_and_blocks_of_the_model(maps: Path) -> None:
    ssm = _read(maps / "ssm_20201202.tif")
    known = ssm[np.isfinite(ssm)]
    assert known.size > 0.8 * ssm.size
    assert known.min() >= 0
    assert known.max() <= 1
    assert np.unique(known).size > 50
    blocks = ssm.reshape(20, 3, 20, 3)
    np.testing.assert_array_equal(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape))


def test_a_map_says_what_it_is(maps: Path, trained: Any) -> None:
    with rasterio.open(maps / "ssm_20201202.tif") as source:
        tags = source.tags()
    expected = {"date": "2020-12-02", "run_id": trained[1].run_id, "lag_days": "2", "support_m": "90 (block)"}
    assert expected.items() <= tags.items()


def test_a_state_is_carried_unless_a_window_is_asked_for(maps: Path, trained: Any, tmp_path: Path) -> None:
    told = f"run={trained[1].run_id}", "dates=[2020-12-02]", f"output={tmp_path}", "products.viewer=false"
    assert trained[0].run("predict", *told, "state=window").code == 0
    seen = {}
    for folder in (maps, tmp_path):
        with rasterio.open(folder / "ssm_20201202.tif") as source:
            tags = source.tags()
        last = np.datetime64("2020-12-02") - (tags["state_at"] == "end of the day before")
        seen[tags["state"]] = int((last - np.datetime64(tags["weather_since"])).astype(int)) + 1
    assert seen["window"] == 2
    assert seen["carried"] in {2, 3}


def _bands(path: Path) -> dict[str, Array]:
    with rasterio.open(path) as source:
        return {source.tags(number)["name"]: source.read(number) for number in source.indexes}


def test_a_map_says_how_sure_it_is(maps: Path) -> None:
    found = _bands(maps / "ssm_20201202.tif")
    probabilities = ["probability_above_0.6", "probability_above_0.8"]
    assert list(found) == ["ssm", "labelled", "lower", "upper", "standard_error", *probabilities, "flags"]
    known = np.isfinite(found["ssm"])
    for name, values in found.items():
        assert np.isfinite(values[known]).all(), name
    assert (found["lower"] <= found["upper"])[known].all()
    assert (found["upper"] - found["lower"])[known].mean() > 0.1
    assert (found["probability_above_0.8"] <= found["probability_above_0.6"])[known].all()
    assert np.isnan(found["lower"][~known]).all()
    flags = found["flags"].astype(int)
    assert (flags[~known] & (16 | 32 | 64) > 0).all()
    assert (flags[known] & (1 | 16 | 32) == 0).all()  # 64: soil is filled there
    with rasterio.open(maps / "ssm_20201202.tif") as source:
        tags = source.tags()
    assert tags["interval"] == "0.9, calibrated"
    assert "validation dates, by which the training was stopped" in tags["calibrated_on"]
    assert {"last_image", "weather_until", "ndvi_age_days", "share_outside_training", "flags"} <= tags.keys()
    assert float(tags["interval_mean_width"]) == pytest.approx(
        np.nanmean(found["upper"]) - np.nanmean(found["lower"]), abs=2e-3
    )


def test_other_levels_thresholds_and_kinds_of_intervals_are_had_by_asking(
    maps: Path, trained: Any, tmp_path: Path
) -> None:
    project, usual = trained[0], _bands(maps / "ssm_20201202.tif")
    same = (f"run={trained[1].run_id}", "dates=2020-12-02")  # others train in this project
    told = (*same, "level=0.5", "thresholds=[0.3]")
    assert project.run("predict", *told, f"output={tmp_path / 'half'}").code == 0
    half = _bands(tmp_path / "half" / "ssm_20201202.tif")
    assert "probability_above_0.3" in half
    assert "probability_above_0.6" not in half
    known = np.isfinite(half["ssm"])
    assert (half["lower"] >= usual["lower"])[known].all()
    assert (half["upper"] <= usual["upper"])[known].all()
    assert project.run("predict", *same, "intervals=none", f"output={tmp_path / 'none'}").code == 0
    bare = _bands(tmp_path / "none" / "ssm_20201202.tif")
    assert list(bare) == ["ssm", "labelled", "flags"]
    np.testing.assert_array_equal(bare["ssm"], usual["ssm"])
    wrong = project.run("predict", *same, "level=1", f"output={tmp_path / 'wrong'}")
    assert wrong.code != 0
    assert "level" in wrong.stderr


def test_the_latest_run_is_the_default_and_lists_and_intervals_are_understood(trained: Any, tmp_path: Path) -> None:
    project, _ = trained
    dates = "dates=[2020-12-31/2021-01-02,2020-12-02,2021-01-01]"
    done = project.run("predict", dates, f"output={tmp_path}")
    assert done.code == 0, done.stderr
    days = ("20201202", "20201231", "20210101", "20210102")
    assert _maps(tmp_path) == [f"ssm_{day}.tif" for day in days]
    assert len({_read(tmp_path / name).tobytes() for name in _maps(tmp_path)}) == 4


@pytest.mark.exhaustive
def test_a_process_of_its_own_gives_the_same_map(maps: Path, trained: Any, tmp_path: Path) -> None:
    project, outcome = trained
    script = Path(__file__).resolve().parents[2] / "predict.py"
    command = [sys.executable, str(script), f"run={outcome.run_id}", "dates=2020-12-02", f"output={tmp_path}"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Warning" not in done.stderr
    np.testing.assert_array_equal(_read(tmp_path / "ssm_20201202.tif"), _read(maps / "ssm_20201202.tif"))


def test_days_outside_the_weather_record_are_left_out_and_counted(trained: Any, tmp_path: Path) -> None:
    done = trained[0].run("predict", "dates=[2020-12-02,2035-01-01,1999-01-01]", f"output={tmp_path}")
    assert done.code == 0
    assert "2 of 3 days are left out" in done.stderr
    assert "1999-01-01" in done.stderr
    assert "2035-01-01" in done.stderr
    assert _maps(tmp_path) == ["ssm_20201202.tif"]


@pytest.fixture(scope="module")
def other_area(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another watershed, larger than the one that was trained on."""
    folder = tmp_path_factory.mktemp("other") / "area"
    config = SimulationConfig(
        **{"seed": 3, "size": 90, "pixel_m": 30, "first_season": 2020, "seasons": 1, "revisit_days": 48},
        **{"looks": 10, "speckle": True, "stations": 3, "gap_fraction": 0.0},
        **{"vegetation_attenuation": 0.4, "angle_slope_db_per_deg": -0.12},
    )
    simulate(config, folder)
    (folder / "simulation.json").unlink()
    return folder


def test_another_area_is_mapped_and_tiles_leave_no_trace(trained: Any, other_area: Path, tmp_path: Path) -> None:
    project, _ = trained
    arguments = (f"root={other_area}", "dates=[2021-01-15]")
    one = project.run("predict", *arguments, f"output={tmp_path / 'one'}", "overlap=8")
    several = project.run("predict", *arguments, f"output={tmp_path / 'several'}", "tile=16", "overlap=8")
    assert (one.code, several.code) == (0, 0), one.stderr + several.stderr
    whole, tiled = (_read(tmp_path / name / "ssm_20210115.tif")[::3, ::3] for name in ("one", "several"))
    assert whole.shape == (30, 30)
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(tiled))
    # tiles of 16 pixels that share 8 begin at 0, 8 and 14: before 8 and from 24 on there is but one
    for rows in (slice(0, 8), slice(24, 30)):
        for cols in (slice(0, 8), slice(24, 30)):
            np.testing.assert_allclose(tiled[rows, cols], whole[rows, cols], atol=1e-6)
    # where tiles are blended, each has little say near its own edge
    assert np.nanmax(np.abs(tiled - whole)) < 0.05


def test_pixels_without_an_input_and_water_are_nodata(
    project: Any, area_copy: Path, real: tuple[str, ...], rewrite: Callable[[Path, bytes], None]
) -> None:
    soil = area_copy / "soil" / "soil.tif"
    with rasterio.open(soil) as source:
        profile, classes = source.profile, source.read(1)
    classes[:30, :30] = source.nodata
    rewrite(soil, b"")
    with rasterio.open(soil, "w", **profile) as target:
        target.write(classes, 1)
    water_below = -12.0  # dB; higher than any water, so that the driest ground counts as such here
    chosen = ("features.on_missing=drop", f"retrieval.water_below_db={water_below}")
    done = project.run("train", *real, *chosen, "trainer.max_epochs=1")
    assert done.code == 0, done.stderr
    done = project.run("predict", "dates=[2020-12-02]")
    assert done.code == 0, done.stderr
    ssm = _read(project.folder / "maps" / "ssm_20201202.tif")
    assert np.isnan(ssm[:30, :30]).all()
    has_soil = (classes != source.nodata).reshape(20, 3, 20, 3).mean(axis=(1, 3)) >= 0.5
    (path,) = project.cubes
    is_land = _mean_of_blocks(Cube.open(path)) > water_below
    assert 0.1 < is_land.mean() < 0.9
    np.testing.assert_array_equal(np.isfinite(ssm[1::3, 1::3]), has_soil & is_land)


def _mean_of_blocks(cube: Cube) -> npt.NDArray[np.float64]:
    """Mean over all images of the dB of 3 x 3 pixels' mean power."""
    images = np.stack([cube.backscatter(time, "VV", cube.grid.full) for time in range(len(cube.times))])
    power = 10 ** (images.astype(float) / 10)
    blocks = np.nanmean(power.reshape(len(images), 20, 3, 20, 3), axis=(2, 4))
    mean: npt.NDArray[np.float64] = np.nanmean(10 * np.log10(blocks), axis=0)
    return mean


def _times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in _maps(folder)}


def test_maps_that_are_there_are_kept_and_others_not_replaced_unasked(trained: Any, tmp_path: Path) -> None:
    project, told = trained[0], ("dates=2020-12-02/2020-12-03", f"output={tmp_path}", "products.viewer=false")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    first = project.run("predict", *told)
    assert first.code == 0, first.stderr
    assert "holds other files, which are left alone: notes.txt" in first.stderr
    before = _times(tmp_path)
    again = project.run("predict", "dates=2020-12-02/2020-12-04", *told[1:])
    assert again.code == 0, again.stderr
    assert "2 of 3 maps are there already" in again.stderr
    after = _times(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == 3
    other = project.run("predict", *told, "level=0.5")
    assert other.code == 1
    assert "ssm_20201202.tif, ssm_20201203.tif are there, made by another run or with other settings" in other.error
    assert "overwrite=true" in other.error
    assert _times(tmp_path) == after
    replaced = project.run("predict", *told, "level=0.5", "overwrite=true")
    assert replaced.code == 0, replaced.stderr
    assert _times(tmp_path)["ssm_20201202.tif"] != after["ssm_20201202.tif"]
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not list(tmp_path.glob(".*"))
    assert not list(tmp_path.glob("unfinished*"))


def test_a_killed_command_goes_on_with_what_is_there(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlssm.jobs import stream, tile

    project, told = trained[0], ("dates=2020-12-02/2020-12-04", f"output={tmp_path}", "products.viewer=false")
    monkeypatch.setattr(stream, "TILE", 12)
    write_day, tile_bands, made = stream.write_day, tile.tile_bands, []

    def killed(job: Any, parts: Any, number: int) -> bool:
        if number == 1:
            raise KeyboardInterrupt
        return bool(write_day(job, parts, number))

    def counted(opened: Any, job: Any, part: Any) -> Any:
        made.append(part)
        return tile_bands(opened, job, part)

    def failing(opened: Any, job: Any, part: Any) -> Any:
        if len(made) == 3:
            raise KeyboardInterrupt
        return counted(opened, job, part)

    monkeypatch.setattr(tile, "tile_bands", failing)
    monkeypatch.setattr(stream, "write_day", killed)
    assert project.run("predict", *told, "dask.workers=1").code == 130
    assert _maps(tmp_path) == []
    monkeypatch.setattr(tile, "tile_bands", counted)
    assert project.run("predict", *told, "dask.workers=1").code == 130
    assert len(made) == 4, "tiles that were there are not made again"
    assert "ssm_20201203.tif" not in _maps(tmp_path)
    before = _times(tmp_path)
    monkeypatch.setattr(stream, "write_day", write_day)
    done = project.run("predict", *told)
    assert done.code == 0, done.stderr
    assert len(made) == 4
    assert len(_maps(tmp_path)) == 3
    assert {name: _times(tmp_path)[name] for name in before} == before
    assert {path.suffix for path in tmp_path.iterdir()} == {".tif", ".png", ".qml", ".json"}


def test_what_a_kill_left_is_no_obstacle_and_vanishes(trained: Any, maps: Path, tmp_path: Path) -> None:
    project, told = trained[0], (f"run={trained[1].run_id}", f"output={tmp_path}")
    with rasterio.open(maps / "ssm_20201202.tif") as source:
        tags = source.tags()
    unfinished = tmp_path / f"unfinished-{tags['settings']}"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    def kill() -> None:
        """Leave what a command left that was killed while it removed tiles, and wrote a map."""
        (unfinished / "2020-12-02-1").mkdir(parents=True)
        (unfinished / "2020-12-02-1" / "0-0-0.npy").write_bytes(b"made from input that may have changed")
        (tmp_path / f".ssm_20201203.tif.{_host()}.{gone.pid}.0123abcd.partial").mkdir()

    for _ in range(2):  # the second time all maps are there
        kill()
        done = project.run("predict", "dates=2020-12-02", *told)
        assert done.code == 0, done.stderr
        assert "holds other files" not in done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in maps.iterdir())
    np.testing.assert_array_equal(_read(tmp_path / "ssm_20201202.tif"), _read(maps / "ssm_20201202.tif"))


def test_a_disk_that_is_full_leaves_the_finished_maps(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlssm.mapping.geotiff import MapWriter

    finish, finished = MapWriter._finish, []

    def full(self: MapWriter, folder: Path) -> None:
        if finished:
            raise OSError(28, "No space left on device")
        assert self._path.with_suffix(".png").is_file(), "a map that is there is not made again, nor its preview"
        finish(self, folder)
        finished.append(self._path.name)

    monkeypatch.setattr(MapWriter, "_finish", full)
    told = "dates=2020-12-02/2020-12-03", f"output={tmp_path}", "dask.workers=1"
    outcome = trained[0].run("predict", *told)
    assert outcome.code == 1
    assert re.search(r"ssm_2020120\d\.tif cannot be written \(.*No space left on device", outcome.error)
    assert _maps(tmp_path) == finished
    assert finished[0] not in outcome.error
    assert np.isfinite(_read(tmp_path / finished[0])).any()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.exhaustive
def test_processes_map_alike(maps: Path, trained: Any, tmp_path: Path) -> None:
    told = "dates=2020-12-02", f"output={tmp_path}", "dask=processes", "dask.workers=2", "products.lhasa=true"
    done = trained[0].run("predict", f"run={trained[1].run_id}", *told)  # others train in this project
    assert done.code == 0, done.stderr
    for name, values in _bands(maps / "ssm_20201202.tif").items():
        np.testing.assert_array_equal(_bands(tmp_path / "ssm_20201202.tif")[name], values)
    assert (tmp_path / "index.html").read_bytes() == (maps / "index.html").read_bytes()
    assert np.isfinite(_read(tmp_path / "lhasa" / "ssm_20201202.tif")).any()


@pytest.mark.exhaustive
def test_a_cluster_that_began_in_another_folder_prepares_and_maps_alike(
    maps: Path, trained: Any, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    project, told = trained[0], {"processes": True, "dashboard_address": None, "protocol": "tcp"}
    with contextlib.chdir(tmp_path):
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, scheduler_kwargs={"dashboard_address": ":0"}, **told)
    relative = os.path.relpath(tmp_path, project.folder)
    with cluster:
        where = f"output={relative}/maps", f"cubes={relative}/cubes"
        who = "dask=cluster", f"dask.address={cluster.scheduler_address}", "products.viewer=false"
        done = project.run("predict", f"run={trained[1].run_id}", "dates=2020-12-02", *where, *who)
    assert done.code == 0, done.stderr
    assert "written" in done.stderr
    for name, values in _bands(maps / "ssm_20201202.tif").items():
        np.testing.assert_array_equal(_bands(tmp_path / "maps" / "ssm_20201202.tif")[name], values)


def test_without_dates_the_last_day_of_the_weather_is_mapped(trained: Any, tmp_path: Path) -> None:
    project = trained[0]
    done = project.run("predict", f"output={tmp_path}", "products.viewer=false")
    assert done.code == 0, done.stderr
    last = Cube.open(project.cube).weather.days[-1]
    assert f"dates: {last}, the last day that the weather reaches" in done.stderr
    (name,) = _maps(tmp_path)
    assert name == f"ssm_{str(last).replace('-', '')}.tif"
    with rasterio.open(tmp_path / name) as source:
        tags = source.tags()
    assert tags["forecast"] == "yes"
    assert int(tags["image_age_days"]) > 0
    assert tags["observed_weather_age_days"] == "0"


def test_packed_maps_are_a_quarter_as_large_and_nearly_the_same(maps: Path, trained: Any, tmp_path: Path) -> None:
    done = trained[0].run(
        "predict", f"run={trained[1].run_id}", "dates=2020-12-02", f"output={tmp_path}", "products.uint8=true"
    )
    assert done.code == 0, done.stderr
    valid, errors, warnings = cog_validate(tmp_path / "ssm_20201202.tif", quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    usual = _bands(maps / "ssm_20201202.tif")
    with rasterio.open(tmp_path / "ssm_20201202.tif") as source:
        assert set(source.dtypes) == {"uint8"}
        assert source.nodata == 255
        assert source.scales[0] == 0.005
        for number, (name, values) in enumerate(usual.items(), 1):
            step = source.scales[number - 1]
            np.testing.assert_allclose(read_values(source, number), values, atol=0.51 * step, err_msg=name)
        assert source.scales[len(usual) - 1] == 1, "flags stay whole"
