import datetime as dt
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from mlssm.config import WeatherConfig
from mlssm.cube import Cube
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid
from mlssm.prepare import area as prepare_module
from mlssm.prepare import heights as heights_module
from mlssm.prepare.area import prepare, time_zone

CORNER = (240000, 3816000)


@pytest.fixture
def area(area_files: Any, speckled: Any) -> Any:
    """The files of an area with every source: two passes in two polarisations."""
    area_files.weather()
    for time in ("20230101T015902", "20230113T015902"):
        area_files.image(speckled, time)
        area_files.image(speckled / 5, time, pol="VH")
    name = "OPERA_L2_RTC-S1-STATIC_T137-292319-IW2_20140403_S1A_30_v1.0_incidence_angle"
    area_files.raster(f"sentinel1/{name}.tif", np.full((24, 24), 38.5, np.float32))
    _, cols = np.mgrid[:60, :60]
    place = {"corner": (CORNER[0] - 400, CORNER[1] + 400)}
    area_files.raster("dem/dem.tif", (100 + 3 * cols).astype(np.float32), **place)
    area_files.raster("soil/soil.tif", np.where(cols < 30, 2, 5).astype(np.uint8), nodata=0, **place)
    for day, value in (("20221215", 0.25), ("20230110", 0.5)):
        area_files.raster(f"ndvi/ndvi_{day}.tif", np.full((60, 60), value, np.float32), **place)
    return area_files


EVERY = {"dem": "dem", "soil": "soil", "ndvi": "ndvi"}


def chunks(cube: Cube, name: str) -> int:
    return sum(len(files) for _, _, files in os.walk(cube.path / name / "c"))


def test_an_area_with_every_source(area: Any, speckled: Any) -> None:
    cube = prepare(area.config(**EVERY), "error")
    (window,) = cube.extents
    assert cube.grid == Grid("EPSG:32611", CORNER, 30, 24, 24)
    assert cube.manifest.features == ("elevation", "slope", "soil")
    elevation = cube.static("elevation", window)
    # pixel 0's centre lies 415 m, or 13.83 steps of 30 m, into the DEM, whose first centre is half a step in
    np.testing.assert_allclose(elevation[5, :3], 100 + 3 * (415 / 30 - 0.5 + np.arange(3)), atol=0.01)
    np.testing.assert_allclose(cube.static("slope", window), np.degrees(np.arctan(3 / 30)), atol=0.01)
    assert set(np.unique(cube.static("soil", window))) == {2, 5}
    assert cube.ndvi_days.astype(str).tolist() == ["2022-12-15", "2023-01-10"]
    np.testing.assert_allclose(cube.ndvi(1, window), 0.5)
    np.testing.assert_allclose(cube.incidence(137, window), 38.5)
    assert cube.manifest.left_out == ()
    assert cube.manifest.skipped == ()
    assert len(cube.manifest.files) == 4 + 1 + 1 + 1 + 2 + 2


def test_an_area_with_backscatter_and_weather_alone(area: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mlssm"):
        cube = prepare(area.config(), "error")
    assert cube.manifest.features == ()
    assert cube.manifest.left_out == ("dem", "soil", "ndvi")
    assert cube.ndvi_days.size == 0
    # what is there, but not used, is said
    for name in ("dem", "soil", "ndvi"):
        said = f"datamodule.{name}=null leaves it out; datamodule.{name}={name} uses it"
        assert f"{area.root / name} is there, but {said}" in caplog.messages


def test_what_is_used_or_not_there_is_not_called_left_out(area: Any, caplog: pytest.LogCaptureFixture) -> None:
    for path in (area.root / "soil").iterdir():
        path.unlink()
    (area.root / "soil").rmdir()
    with caplog.at_level(logging.INFO, "mlssm"):
        prepare(area.config(dem="dem", ndvi="ndvi"), "error")
    assert not [message for message in caplog.messages if "leaves it out" in message]


@pytest.mark.filterwarnings("error")
def test_xarray_decodes_the_cube(area: Any, speckled: Any) -> None:
    cube = prepare(area.config(**EVERY), "error")
    data = xr.open_zarr(cube.path, consolidated=False)
    assert data["backscatter"].dims == ("time", "polarisation", "y", "x")
    assert data["static"].dims == ("feature", "y", "x")
    assert data["ndvi"].dims == ("ndvi_time", "y", "x")
    assert data["incidence"].dims == ("incidence_orbit", "y", "x")
    assert data["weather"].dims == ("day", "station", "variable")
    first = data["backscatter"].sel(time="2023-01-01T01:59:02").isel(polarisation=0)
    np.testing.assert_allclose(first, 10 * np.log10(speckled), atol=0.00501)
    assert data["backscatter"].attrs["units"] == "dB"
    assert data["time"].dtype.kind == data["local_day"].dtype.kind == data["day"].dtype.kind == "M"
    assert str(data["day"].to_numpy()[0])[:10] == "2022-12-01"
    x, y = cube.grid.centres(cube.grid.full)
    np.testing.assert_array_equal(data["x"], x)
    np.testing.assert_array_equal(data["y"], y)
    assert data["x"].attrs["standard_name"] == "projection_x_coordinate"
    # the CRS, as CF and GDAL want it
    mapping = data[data["backscatter"].attrs.get("grid_mapping") or data["backscatter"].encoding["grid_mapping"]]
    assert CRS.from_wkt(mapping.attrs["crs_wkt"]).to_epsg() == 32611
    assert [float(value) for value in mapping.attrs["GeoTransform"].split()] == [CORNER[0], 30, 0, CORNER[1], 0, -30]
    assert data.attrs["crs"] == "EPSG:32611"
    assert data.attrs["files"] == cube.manifest.files


def test_extents_far_apart_write_only_their_own_chunks(area_files: Any) -> None:
    area_files.weather()
    flat = np.full((24, 24), 0.1, np.float32)
    area_files.image(flat)
    area_files.image(flat, "20230101T015925", burst="T137-292325-IW1", corner=(CORNER[0] + 90000, CORNER[1] - 60000))
    area_files.image(flat, "20230113T015902")
    area_files.raster("dem.tif", np.full((40, 40), 7, np.float32), corner=(CORNER[0] - 90, CORNER[1] + 90))
    cube = prepare(area_files.config(dem="dem.tif"), "error")
    assert cube.grid.shape == (2024, 3024)
    assert len(cube.extents) == 2
    assert not cube.extents[0].intersects(cube.extents[1])
    # two extents on the first date, one on the second: each in one chunk of 256 x 256, of 96
    assert chunks(cube, "backscatter") == 3
    assert chunks(cube, "static") == 2
    assert np.isnan(cube.backscatter(1, "VV", cube.extents[1])).all()
    assert np.isnan(cube.static("elevation", cube.extents[1])).all()


def test_an_evening_pass_belongs_to_the_local_day(shared: Path, area_files: Any) -> None:
    root = area_files.root
    (root / "sentinel1").mkdir(parents=True)
    for image in (shared / "santa_barbara" / "sentinel1").glob("*T137-292319-IW2_202[12]*VV.tif"):
        (root / "sentinel1" / image.name).symlink_to(image)
    (root / "weather").symlink_to(shared / "santa_barbara" / "weather")
    cube = prepare(area_files.config(), "error")
    assert cube.manifest.time_zone == "America/Los_Angeles"
    assert cube.times[0] == np.datetime64("2021-11-19T01:58:58")
    np.testing.assert_array_equal(cube.local_days, cube.times.astype("datetime64[D]") - 1)
    # 17:58 in winter, 18:59 in summer time: after noon, so the window ends with the day itself
    np.testing.assert_array_equal(cube.window_ends, cube.local_days)


def test_the_time_zone_decides_day_and_window(area: Any) -> None:
    # 01:59 UTC is 02:59 of the same day in Paris: a morning pass, whose window ends the day before
    cube = prepare(area.config(time_zone="Europe/Paris"), "error")
    assert cube.manifest.time_zone == "Europe/Paris"
    assert cube.local_days.astype(str).tolist() == ["2023-01-01", "2023-01-13"]
    assert cube.window_ends.astype(str).tolist() == ["2022-12-31", "2023-01-12"]


@pytest.mark.parametrize(
    ("crs", "corner", "zone"),
    [
        ("EPSG:32611", CORNER, "America/Los_Angeles"),
        ("EPSG:32632", (680000, 5160000), "Europe/Rome"),
        ("EPSG:32756", (300000, 6250000), "Australia/Sydney"),
        ("EPSG:32645", (300000, 3060000), "Asia/Kathmandu"),
    ],
)
def test_the_time_zone_comes_from_the_place(crs: str, corner: tuple[float, float], zone: str) -> None:
    assert time_zone(None, Grid(crs, corner, 30, 100, 100)) == ZoneInfo(zone)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_a_time_zone_that_is_none_is_refused(small_grid: Grid, name: str) -> None:
    with pytest.raises(ConfigError, match=r"datamodule\.time_zone=.*America/Los_Angeles"):
        time_zone(name, small_grid)


def tree(path: Path) -> dict[str, int]:
    return {str(file.relative_to(path)): file.stat().st_mtime_ns for file in path.rglob("*")}


def test_a_second_run_finds_the_cube(area: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = prepare(area.config(**EVERY), "error")
    before = tree(cube.path.parent)
    os.utime(next((area.root / "dem").iterdir()))  # touched, but the same
    monkeypatch.setattr(prepare_module, "_write", None)  # would be called
    assert prepare(area.config(**EVERY), "error") == cube
    assert tree(cube.path.parent) == before


def test_the_cube_is_found_wherever_the_area_is_moved(area: Any) -> None:
    cube = prepare(area.config(), "error")
    moved = area.root.parent / "elsewhere" / area.root.name
    moved.parent.mkdir()
    area.root.rename(moved)
    assert prepare(area.config(root=moved), "error").manifest.digest == cube.manifest.digest


@pytest.mark.parametrize("change", ["values", "weather", "sidecar", "another file", "units", "time zone", "pattern"])
def test_another_input_is_another_cube(area: Any, speckled: Any, change: str) -> None:
    first = prepare(area.config(**EVERY), "error")
    changes: dict[str, Any] = {}
    if change == "values":
        area.image(speckled * 2)
    elif change == "weather":
        path = area.root / "weather" / "S1.csv"
        path.write_text(path.read_text().replace(",60\n", ",61\n", 1))
    elif change == "sidecar":
        path = next((area.root / "soil").iterdir())
        path.with_name(path.name + ".aux.xml").write_text("<PAMDataset></PAMDataset>")
    elif change == "another file":
        area.raster("dem/another.tif", np.full((4, 4), 140, np.float32))
    elif change == "units":
        changes = {"backscatter": {"looks": 7.0}}
    elif change == "time zone":
        changes = {"time_zone": "Europe/Paris"}
    else:
        changes = {"ndvi_pattern": r"ndvi_(?P<date>\d{8})\.tif"}
    second = prepare(area.config(**EVERY, **changes), "error")
    assert second.path != first.path
    assert second.manifest.digest != first.manifest.digest
    assert first.path.is_dir()


@pytest.mark.parametrize(
    ("step", "kind"),
    [("write_backscatter", DataError), ("write_land", KeyboardInterrupt), ("notes_on_weather", OSError)],
)
def test_an_interruption_leaves_nothing_that_looks_whole(
    area: Any, monkeypatch: pytest.MonkeyPatch, step: str, kind: type[BaseException]
) -> None:
    def fail(*_: Any) -> None:
        raise kind("in the middle")

    config = area.config(**EVERY)
    with monkeypatch.context() as patched:
        patched.setattr(prepare_module, step, fail)
        with pytest.raises(kind, match="in the middle"):
            prepare(config, "error")
    assert list(config.cubes.glob("*.zarr")) == []
    assert prepare(config, "error").manifest.features == ("elevation", "slope", "soil")


SOURCES = {
    "sentinel1": r"OPERA.*20230113T015902Z.*VV\.tif",
    "dem": r"dem\.tif",
    "soil": r"soil\.tif",
    "ndvi": r"ndvi_20230110\.tif",
}


def bad_file(area: Any, source: str) -> Path:
    (path,) = (path for path in (area.root / source).iterdir() if re.fullmatch(SOURCES[source], path.name))
    return path


@pytest.mark.parametrize("fault", ["truncated", "text"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_bad_file_is_named_and_stops_the_run(area: Any, truncate: Any, source: str, fault: str) -> None:
    path = bad_file(area, source)
    truncate(path) if fault == "truncated" else path.write_text("text")
    config = area.config(**EVERY)
    with pytest.raises(DataError) as error:
        prepare(config, "error")
    assert str(path) in str(error.value)
    assert "on_bad_file=skip" in str(error.value)
    assert not list(config.cubes.glob("*.zarr"))


def test_bad_files_that_are_skipped_are_counted_and_the_rest_is_fine(
    area: Any, truncate: Any, speckled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows, cols = np.mgrid[:60, :60]
    plane = (50.0 + rows + cols).astype(np.float32)
    area.raster("dem/west.tif", plane, corner=(CORNER[0] - 60, CORNER[1] + 60))
    paths = [bad_file(area, source) for source in ("sentinel1", "dem", "ndvi")]
    for path in paths:
        truncate(path)
    (area.root / "weather" / "broken.csv").write_text("not,a\nstation,file\n")
    cube = prepare(area.config(**EVERY), "skip")
    assert sorted(cube.manifest.skipped) == sorted([*(path.name for path in paths), "broken.csv"])
    for path in paths:
        told = [message for message in caplog.messages if "skipped a bad file" in message and path.name in message]
        assert len(told) == 1
    (window,) = cube.extents
    np.testing.assert_allclose(cube.backscatter(0, "VV", window), 10 * np.log10(speckled), atol=0.00501)
    # the second pass has lost one polarisation, and is there with the other
    assert np.isnan(cube.backscatter(1, "VV", window)).all()
    assert np.isfinite(cube.backscatter(1, "VH", window)).all()
    assert cube.static("elevation", window)[0, 0] == pytest.approx(50 + 2 + 2, abs=0.01)
    # the latest NDVI before a day is one that has values
    assert cube.ndvi_days.astype(str).tolist() == ["2022-12-15"]
    np.testing.assert_allclose(cube.ndvi(0, window), 0.25)
    assert xr.open_zarr(cube.path, consolidated=False)["ndvi"].shape == (1, 24, 24)


def test_a_cube_with_files_left_out_is_not_taken_for_a_whole_one(area: Any, truncate: Any) -> None:
    truncate(bad_file(area, "ndvi"))
    assert prepare(area.config(**EVERY), "skip").manifest.skipped == ("ndvi_20230110.tif",)
    with pytest.raises(DataError, match=r"ndvi_20230110\.tif cannot be read"):
        prepare(area.config(**EVERY), "error")


def test_a_pass_without_a_valid_pixel_is_no_date(area: Any, caplog: pytest.LogCaptureFixture) -> None:
    area.image(np.full((24, 24), np.nan), "20230107T015902")
    cube = prepare(area.config(), "error")
    assert [str(day) for day in cube.times.astype("datetime64[D]")] == ["2023-01-01", "2023-01-13"]
    assert any("2023-01-07 01:59:02+00:00 has no valid pixel" in message for message in caplog.messages)
    data = xr.open_zarr(cube.path, consolidated=False)
    assert data["backscatter"].shape == (2, 2, 24, 24)


def test_images_without_a_single_valid_pixel(area_files: Any) -> None:
    area_files.weather()
    area_files.image(np.zeros((24, 24)))
    with pytest.raises(DataError, match=r"no image in .*sentinel1 has a valid pixel; check .*units=linear"):
        prepare(area_files.config(), "error")
    assert not list((area_files.root.parent / "cubes").glob("*.zarr"))


@pytest.mark.parametrize("source", ["dem", "soil", "ndvi"])
def test_a_source_that_does_not_overlap_is_refused(area: Any, source: str) -> None:
    for path in (area.root / source).iterdir():
        path.unlink()
    values = np.ones((10, 10), np.uint8 if source == "soil" else np.float32)
    path = area.raster(f"{source}/{source}_20230101.tif", values, corner=(500000, 3816000), nodata=0)
    with pytest.raises(DataError, match=rf"does not overlap the images; .*datamodule\.{source}=null") as error:
        prepare(area.config(**EVERY), "error")
    assert str(path) in str(error.value)


@pytest.mark.parametrize("source", ["dem", "soil"])
def test_a_source_of_which_nothing_can_be_read_is_not_said_to_lie_elsewhere(
    area: Any, truncate: Any, source: str
) -> None:
    path = bad_file(area, source)
    truncate(path)
    with pytest.raises(DataError, match=rf"nothing in .*{path.name} can be read; .*datamodule\.{source}=null"):
        prepare(area.config(**EVERY), "skip")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"root": Path("nowhere")}, r"datamodule\.root=nowhere is not a folder"),
        ({"backscatter": {"folder": "S1"}}, r"folder .*S1 is missing"),
        ({"dem": "hills"}, r"folder .*hills is missing"),
        ({"weather": "rain"}, r"weather folder .*rain is missing: .*set datamodule\.weather"),
    ],
)
def test_a_folder_that_is_missing_is_named(area: Any, changes: dict[str, Any], said: str) -> None:
    config = area.config(**changes)
    with pytest.raises(DataError, match=said):
        prepare(config, "error")
    assert not config.cubes.exists()


def test_sources_may_lie_outside_of_the_area(area: Any, tmp_path: Path) -> None:
    outside = tmp_path / "national" / "dem.tif"
    outside.parent.mkdir()
    (area.root / "dem" / "dem.tif").rename(outside)
    cube = prepare(area.config(dem=str(outside)), "error")
    assert outside.as_posix() in cube.manifest.files
    assert cube.manifest.features == ("elevation", "slope")


def test_the_notes_say_how_well_stations_predict_each_other(area: Any) -> None:
    notes = prepare(area.config(), "error").manifest.weather_notes
    assert any(note.startswith("S0: evapotranspiration by FAO-56 on 40 days") for note in notes)
    assert any(note.startswith("precipitation: leave-one-station-out RMSE 0.00") for note in notes)


def test_the_notes_judge_the_interpolation_that_is_set(area: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Power and number of neighbours change what a station is predicted to be; the cube stays the same."""
    area.weather()
    third = (area.root / "weather" / "S0.csv").read_text().replace("S0,", "S2,")
    third = third.replace("34.42,-119.85,10", "34.5,-119.7,9")
    (area.root / "weather" / "S2.csv").write_text(third.replace(",60\n", ",90\n"))

    def humidity(notes: Sequence[str]) -> str:
        return next(note for note in notes if note.startswith("vapour_pressure: leave-one-station-out"))

    few = WeatherConfig(neighbours=1, power=2, min_coverage=0.75)
    first = prepare(area.config(), "error", few)
    assert humidity(first.manifest.weather_notes).endswith("from 1 stations at most, power 2")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        again = prepare(area.config(), "error", few.model_copy(update={"neighbours": 8, "power": 0.5}))
    assert again.path == first.path
    other = humidity([line for line in caplog.messages if "leave-one-station-out" in line])
    assert other.endswith("from 8 stations at most, power 0.5")
    errors = [re.findall(r"RMSE ([\d.]+)", note)[0] for note in (humidity(first.manifest.weather_notes), other)]
    assert errors[0] != errors[1]


def test_stations_that_are_far_or_from_elsewhere(area: Any, caplog: pytest.LogCaptureFixture) -> None:
    folder = area.root / "weather"
    for name, old, new in (("S0", "34.42,-119.85", "35.4,-119.85"), ("S1", "34.46,-119.8", "48.1,11.5")):
        path = folder / f"{name}.csv"
        path.write_text(path.read_text().replace(old, new))
    cube = prepare(area.config(), "error")
    assert cube.manifest.stations == ("S0",)
    assert any("1 of 1 extents have no station within 50 km" in line for line in caplog.messages)
    assert any("1 of 1 extents have no station" in note for note in cube.manifest.weather_notes)
    assert any("it is left out" in note for note in cube.manifest.weather_notes)
    (folder / "S0.csv").write_text((folder / "S0.csv").read_text().replace("35.4,-119.85", "35.4,119.85"))
    with pytest.raises(DataError, match=r"S0\.csv.*LONGITUDE's sign looks wrong"):
        prepare(area.config(), "error")


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere"), os.mkfifo])
def test_what_is_no_station_file_can_be_skipped(area: Any, make: Any) -> None:
    make(area.root / "weather" / "odd.csv")
    with pytest.raises(DataError, match=r"odd\.csv is (not a file|a link to nothing)"):
        prepare(area.config(), "error")
    assert prepare(area.config(), "skip").manifest.skipped == ("odd.csv",)


def test_times_are_of_the_passes_first_image(area_files: Any, speckled: Any) -> None:
    area_files.weather()
    area_files.image(speckled, "20230101T015925", burst="T137-292320-IW2")
    area_files.image(speckled, "20230101T015902")
    cube = prepare(area_files.config(), "error")
    assert cube.times.tolist() == [dt.datetime(2023, 1, 1, 1, 59, 2)]


@pytest.mark.parametrize("source", ["sentinel1", "dem", "weather"])
def test_a_file_that_may_not_be_read_is_named_or_left_out(
    area: Any, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    again = 134 + 3 * np.mgrid[:60, :60][1].astype(np.float32)
    area.raster("dem/again.tif", again, corner=(CORNER[0] - 60, CORNER[1] + 60))
    path = area.root / "weather" / "S1.csv" if source == "weather" else bad_file(area, source)
    plain = Path.open

    def refuse(self: Path, *args: Any, **more: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return plain(self, *args, **more)

    monkeypatch.setattr(Path, "open", refuse)
    said = rf"{path.name}:? cannot be read \((\[Errno 13\] )?Permission denied\); .*on_bad_file=skip"
    with pytest.raises(DataError, match=said):
        prepare(area.config(dem="dem"), "error")
    assert path.name in prepare(area.config(dem="dem"), "skip").manifest.skipped


def test_a_folder_among_the_stations_is_named(area: Any) -> None:
    (area.root / "weather" / "old.csv").mkdir()
    with pytest.raises(DataError, match=r"old\.csv is not a file; replace it or remove it"):
        prepare(area.config(), "error")


def test_what_was_corrected_is_told_each_time(area: Any, speckled: Any, caplog: pytest.LogCaptureFixture) -> None:
    decibels = 10 * np.log10(speckled)
    for time in ("20230101T015902", "20230113T015902"):
        area.image(np.where(np.arange(24) < 4, 0, decibels), time)
        area.image(decibels - 7, time, pol="VH")
    config = area.config(backscatter={"units": "dB"})
    line = "exactly 0 dB, a missing value that is not declared, was taken as missing: in 2 files"
    for _ in range(2):
        caplog.clear()
        cube = prepare(config, "error")
        assert [message for message in caplog.messages if message.startswith(line)] == list(cube.manifest.corrected)
        assert len(cube.manifest.corrected) == 1
    assert np.isnan(cube.backscatter(0, "VV", cube.extents[0])[:, :4]).all()


def test_values_that_are_no_backscatter_are_left_out_by_skip(area: Any, speckled: Any) -> None:
    path = area.image(np.where(np.arange(24) < 4, -9999, speckled), "20230125T015902")
    with pytest.raises(DataError, match=rf"{path.name} holds -9999"):
        prepare(area.config(), "error")
    cube = prepare(area.config(), "skip")
    assert cube.manifest.skipped == (path.name,)
    assert len(cube.times) == 2


def test_polarisations_that_are_exchanged_stop_the_run_or_leave_out_the_pass(area: Any, speckled: Any) -> None:
    area.image(speckled, "20230125T015902", pol="VH")
    area.image(speckled / 5, "20230125T015902")
    with pytest.raises(DataError, match=r"20230125T.*VH of its pass lies 7\.0 dB above VV"):
        prepare(area.config(), "error")
    assert len(prepare(area.config(), "skip").times) == 2


def test_a_dem_in_feet_is_told_by_the_stations(area: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def heights(*_: Any) -> Any:
        return np.array([3.2808 * 45, 3.2808 * 60])  # of stations at 45 and 60 m

    for number, height in enumerate((45, 60)):
        path = area.root / "weather" / f"S{number}.csv"
        path.write_text(path.read_text().replace(f",{10 + 50 * number},", f",{height},"))
    monkeypatch.setattr(heights_module, "elevation_at", heights)
    with pytest.raises(DataError, match=r"dem\.tif has 147\.636 where a weather station states 45 m: it is in feet"):
        prepare(area.config(dem="dem"), "error")


def test_a_source_with_gaps_is_told(area: Any, caplog: pytest.LogCaptureFixture) -> None:
    area.raster("dem/dem.tif", np.full((24, 12), 7, np.float32))
    prepare(area.config(dem="dem"), "error")
    told = "dem.tif reaches 50 % of the images' pixels; elsewhere dem is missing"
    assert any(told in message for message in caplog.messages)


def test_classes_are_counted_over_all_extents(area_files: Any) -> None:
    area_files.weather()
    for number, (burst, east) in enumerate((("T137-292319-IW2", 0), ("T137-292325-IW1", 90000))):
        corner = (CORNER[0] + east, CORNER[1])
        area_files.image(np.full((24, 24), 0.1), burst=burst, corner=corner)
        classes = (np.arange(24 * 24) % 20 + 1 + 20 * number).reshape(24, 24).astype(np.uint8)
        area_files.raster(f"soil/{number}.tif", classes, corner=corner, nodata=0)
    with pytest.raises(DataError, match=r"soil holds 40 classes \(1\.\.40\), more than 30"):
        prepare(area_files.config(soil="soil"), "error")


def test_one_image_under_two_dates_is_told(area: Any, speckled: Any, caplog: pytest.LogCaptureFixture) -> None:
    area.image(speckled * 1.5, "20230125T015902")
    prepare(area.config(), "error")
    (line,) = [message for message in caplog.messages if "under another name" in message]
    assert line.startswith("2 rasters are copies of others under another name (first: sentinel1/OPERA")
    assert "20230113T015902Z" in line
    assert "20230101T015902Z" in line
