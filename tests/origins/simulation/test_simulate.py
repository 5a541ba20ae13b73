import hashlib
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid
from mlssm.origins.simulation import SIMULATOR_VERSION, area, simulate
from mlssm.origins.simulation.landcover import Cover
from mlssm.origins.simulation.orbits import image_name, incidence_angle, schedule
from mlssm.origins.simulation.scene import build_scene, daily_moisture

# by name: in the package the function of this name hides the module
MODULE = importlib.import_module("mlssm.origins.simulation.simulate")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_pass(folder: Path, grid: Grid, track: str, day: str, polarisation: str) -> np.ndarray:
    """The bursts of a pass on the grid, as any reader would put them there."""
    image = np.full(grid.shape, np.nan)
    for path in (folder / "sentinel1").glob(f"OPERA_L2_RTC-S1_{track}-*_{day}T*_{polarisation}.tif"):
        with rasterio.open(path) as file:
            image[grid.window_of(tuple(file.bounds)).slices] = file.read(1)
    return image


@pytest.fixture(scope="module")
def simulated(tmp_path_factory, configure) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "area"
    simulate(configure(), folder)
    return folder


@pytest.fixture(scope="module")
def silent(tmp_path_factory, configure) -> Path:
    """The same without speckle."""
    folder = tmp_path_factory.mktemp("silent") / "area"
    simulate(configure(speckle=False), folder)
    return folder


def test_folder_has_what_a_real_area_has(simulated: Path, configure) -> None:
    passes = schedule(configure())
    names = {path.name for path in simulated.iterdir()}
    assert names == {"sentinel1", "weather", "dem", "soil", "ndvi", "insitu", "truth.zarr", "simulation.json"}
    images = list((simulated / "sentinel1").glob("*_V?.tif"))
    assert len(images) == len(passes) * 2 * 2
    assert len(list((simulated / "sentinel1").glob("*_incidence_angle.tif"))) == 4
    assert len(list((simulated / "weather").glob("*.csv"))) == 4
    first = image_name("T137-292319-IW2", passes[0].time, 30, "VV")
    assert (simulated / "sentinel1" / first).is_file()


def test_images_are_float32_linear_on_one_grid_and_tag_nan(simulated: Path, configure, landscape_of) -> None:
    grid = landscape_of().grid
    for path in sorted((simulated / "sentinel1").glob("*.tif")):
        with rasterio.open(path) as file:
            assert file.crs.to_epsg() == 32611
            assert file.dtypes == ("float32",)
            assert np.isnan(file.nodata)
            assert file.compression.name == "deflate"
            assert file.transform.e == -30
            assert grid.crop(grid.window_of(tuple(file.bounds))).transform == file.transform
            values = file.read(1)
        assert values.min() > 0


def test_bursts_agree_where_they_overlap(simulated: Path, configure, landscape_of) -> None:
    grid = landscape_of().grid
    first = schedule(configure())[0]
    day = f"{first.time:%Y%m%d}"
    parts = []
    for path in (simulated / "sentinel1").glob(f"*_T137-*_{day}T*_VV.tif"):
        part = np.full(grid.shape, np.nan)
        with rasterio.open(path) as file:
            part[grid.window_of(tuple(file.bounds)).slices] = file.read(1)
        parts.append(part)
    both = np.isfinite(parts[0]) & np.isfinite(parts[1])
    assert both.any(axis=1).sum() == 4
    np.testing.assert_array_equal(parts[0][both], parts[1][both])


def test_bare_ground_without_speckle_inverts_to_the_truth(silent: Path, configure) -> None:
    config = configure(speckle=False)
    scene = build_scene(config)
    land = scene.landscape
    bare = land.cover == Cover.BARE
    truth = xr.open_zarr(silent / "truth.zarr")["ssm"]
    swing = []
    for number, each in enumerate(schedule(config)):
        track = each.track.bursts[0][:4]
        level = 10 * np.log10(read_pass(silent, land.grid, track, f"{each.time:%Y%m%d}", "VV"))
        ndvi = land.greenness.ndvi(each.local_day.timetuple().tm_yday)
        dry = -15 + 0.8 * land.roughness - 0.13 * (incidence_angle(each.track, land.grid) - 40)
        ssm = (level - dry) / (9 * (1 - 0.4 * ndvi))
        np.testing.assert_allclose(ssm[bare], truth[number].values[bare], atol=2e-6)
        swing.append(ssm[bare].mean())
    assert np.ptp(swing) > 0.5


def test_morning_passes_see_the_day_before(silent: Path, configure) -> None:
    config = configure(speckle=False)
    scene = build_scene(config)
    days = {day: ssm.copy() for day, ssm in daily_moisture(scene)}
    truth = xr.open_zarr(silent / "truth.zarr")["ssm"].values
    for number, each in enumerate(schedule(config)):
        expected = np.where(scene.landscape.land, days[each.state_day], np.nan)
        np.testing.assert_array_equal(truth[number], expected)
    assert 0 <= np.nanmin(truth)
    assert np.nanmax(truth) <= 1


def test_speckle_changes_only_the_images(simulated: Path, silent: Path) -> None:
    noisy, clean = digests(simulated), digests(silent)
    assert noisy.keys() == clean.keys()
    changed = {name for name in noisy if noisy[name] != clean[name]}
    images = {name for name in noisy if name.endswith(("_VV.tif", "_VH.tif"))}
    assert changed == images | {"simulation.json"}


def test_speckle_is_independent_among_dates_and_polarisations(simulated: Path, silent: Path, configure) -> None:
    grid = build_scene(configure()).landscape.grid
    ratios = []
    for each in schedule(configure())[:2]:
        key = (each.track.bursts[0][:4], f"{each.time:%Y%m%d}")
        ratios += [
            (read_pass(simulated, grid, *key, p) / read_pass(silent, grid, *key, p)).ravel() for p in ("VV", "VH")
        ]
    table = np.stack(ratios)
    np.testing.assert_allclose(table.mean(axis=1), 1, atol=0.03)
    np.testing.assert_allclose(table.var(axis=1), 0.1, atol=0.012)
    off_diagonal = np.corrcoef(table)[~np.eye(4, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.08


def test_soil_and_ndvi_lie_on_the_grid(simulated: Path, landscape_of) -> None:
    grid = landscape_of().grid
    with rasterio.open(simulated / "soil" / "soil.tif") as file:
        assert (file.dtypes, file.nodata, file.transform) == (("uint8",), 0, grid.transform)
        np.testing.assert_array_equal(file.read(1), landscape_of().soil)
    images = sorted((simulated / "ndvi").glob("ndvi_*.tif"))
    assert images[0].name == "ndvi_20200504.tif"
    assert images[1].name == "ndvi_20200520.tif"
    for path in images:
        with rasterio.open(path) as file:
            assert (file.dtypes, file.shape) == (("float32",), (24, 24))
            assert file.transform == grid.coarsen(2).transform
            assert np.isnan(file.nodata)
            values = file.read(1)
        assert -0.2 <= values.min() < values.max() <= 1


def test_dem_covers_more_than_the_area(simulated: Path, landscape_of) -> None:
    grid = landscape_of().grid
    with (
        rasterio.open(simulated / "dem" / "dem.tif") as file,
        rasterio.vrt.WarpedVRT(file, crs=grid.crs, resampling=rasterio.enums.Resampling.bilinear) as warped,
    ):
        assert file.crs.to_epsg() == 4326
        bounds = grid.bounds
        assert warped.bounds.left < bounds[0] - 100
        assert warped.bounds.top > bounds[3] + 100
        x, y = grid.centres(grid.full)
        sampled = np.array([value[0] for value in warped.sample(zip(x, y, strict=True))])
    np.testing.assert_allclose(sampled, np.diag(landscape_of().elevation), atol=6)


def test_same_seed_same_bytes_other_seed_other_files(simulated: Path, configure, tmp_path: Path) -> None:
    simulate(configure(), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(simulated)
    simulate(configure(seed=4), tmp_path / "other")
    other, same = digests(tmp_path / "other"), digests(simulated)
    changed = {name for name in same if name in other and other[name] != same[name]}
    fixed = {name for name in same if "incidence_angle" in name or "truth.zarr/." in name or "truth.zarr/x" in name}
    assert {"dem/dem.tif", "soil/soil.tif", "weather/SIM00000001.csv"} <= changed
    assert {name for name in same if name.endswith("_VV.tif")} <= changed
    assert not changed & fixed


def test_a_second_run_does_nothing(configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "area"
    simulate(configure(size=40), folder)

    def fail(*_: object) -> None:
        raise AssertionError("written again")

    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(MODULE, "write_area", fail)
    simulate(configure(size=40), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(AssertionError):
        simulate(configure(size=40, seed=9), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    monkeypatch.setattr(MODULE, "SIMULATOR_VERSION", SIMULATOR_VERSION + 1)
    with pytest.raises(AssertionError):
        simulate(configure(size=40), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["area"]


def test_another_configuration_replaces_our_own_simulation(configure, tmp_path: Path) -> None:
    folder = tmp_path / "area"
    simulate(configure(size=40, revisit_days=48), folder)
    before = digests(folder)
    simulate(configure(size=40, revisit_days=48, looks=4), folder)
    assert json.loads((folder / "simulation.json").read_text())["config"]["looks"] == 4
    assert digests(folder) != before
    assert [path.name for path in tmp_path.iterdir()] == ["area"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_failure_half_way_leaves_nothing(
    configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    written = 0
    original = area.write_on_grid

    def fail_late(*arguments: object) -> None:
        nonlocal written
        written += 1
        if written == 50:
            raise error("disk full")
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(area, "write_on_grid", fail_late)
    with pytest.raises(error):
        simulate(configure(), tmp_path / "deep" / "area")
    assert written == 50
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.parametrize("content", [None, "not json", '{"type": "FeatureCollection"}', "[1]"])
def test_a_folder_that_is_not_ours_is_left_alone(configure, tmp_path: Path, content: str | None) -> None:
    (tmp_path / "dem").mkdir()
    if content is not None:
        (tmp_path / "simulation.json").write_text(content)
    with pytest.raises(DataError, match=r"simulation\.json"):
        simulate(configure(), tmp_path)
    assert (tmp_path / "dem").is_dir()


def test_an_empty_folder_is_filled(configure, tmp_path: Path) -> None:
    (tmp_path / "area").mkdir()
    simulate(configure(size=40, revisit_days=48), tmp_path / "area")
    assert (tmp_path / "area" / "simulation.json").is_file()


def test_a_negative_seed_is_refused(configure, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed=-1"):
        simulate(configure(seed=-1), tmp_path / "area")
    assert list(tmp_path.iterdir()) == []
