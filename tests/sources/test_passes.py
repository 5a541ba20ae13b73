"""Passes, orbits and images that were delivered twice."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from mlssm.errors import DataError
from mlssm.sources.backscatter import BackscatterIndex, index_backscatter
from mlssm.sources.faults import BadFiles
from mlssm.sources.passes import Image, derive_orbits, group_passes

FLAT = np.full((24, 24), 0.1, np.float32)
EAST = {"corner": (240000 + 22 * 30, 3816000)}


def index(area_files: Any, bad: BadFiles | None = None, **changes: Any) -> BackscatterIndex:
    config = area_files.config(**changes)
    return index_backscatter(config.root, config.backscatter, config.grid, bad or BadFiles("error"))


def names(found: BackscatterIndex) -> list[list[str]]:
    return [sorted(image.path.name for image in overpass.images) for overpass in found.passes]


@pytest.mark.parametrize("seconds", [0, 1, -2, 90])
def test_the_newest_processing_wins_though_the_start_moved(
    area_files: Any, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    old = area_files.image(FLAT, "20230101T015902", processed="20230201T000000")
    moved = dt.datetime(2023, 1, 1, 1, 59, 2) + dt.timedelta(seconds=seconds)
    new = area_files.image(FLAT, f"{moved:%Y%m%dT%H%M%S}", processed="20240101T000000")
    other = area_files.image(FLAT, "20230113T015902")
    assert names(index(area_files)) == [[new.name], [other.name]]
    assert f"{old.name} was processed anew: {new.name} is used" in caplog.messages


def test_another_burst_and_another_polarisation_are_no_copies(area_files: Any) -> None:
    area_files.image(FLAT)
    area_files.image(FLAT / 5, pol="VH")
    area_files.image(FLAT, "20230101T015903", burst="T137-292320-IW2", processed="20240101T000000")
    assert len(names(index(area_files))[0]) == 3


NAMED = {"pattern": r"S1_(?P<date>\d{8}T\d{6})_(?P<processed>\d{8}T\d{6})_(?P<polarisation>VV)\.tif"}


def scene(area_files: Any, time: str, processed: str, **place: Any) -> Path:
    path: Path = area_files.raster(f"sentinel1/S1_{time}_{processed}_VV.tif", FLAT, **place)
    return path


def test_the_newest_processing_of_scenes_without_bursts_is_told_by_their_ground(area_files: Any) -> None:
    scene(area_files, "20230101T015902", "20230201T000000")
    new = scene(area_files, "20230101T015903", "20240201T000000")
    beside = scene(area_files, "20230101T015927", "20230201T000000", **EAST)
    assert names(index(area_files, backscatter=NAMED)) == [sorted([new.name, beside.name])]


GEOTIFF = {"pattern": r"(?P<polarisation>VV|VH)_(?P<date>\d{8}T\d{6})(?:_(?P<orbit>\d{1,3}))?\.tiff?"}


def test_two_images_of_one_ground_that_nothing_tells_apart_are_refused(area_files: Any) -> None:
    first = area_files.raster("sentinel1/VV_20230101T015902_137.tif", FLAT)
    second = area_files.raster("sentinel1/VV_20230101T015903_137.tif", FLAT * 2)
    slice_ = area_files.raster("sentinel1/VV_20230101T015927_137.tif", FLAT, **EAST)
    with pytest.raises(DataError, match=rf"{second.name} shows the ground of {first.name} in the same pass"):
        index(area_files, backscatter=GEOTIFF)
    skip = BadFiles("skip")
    assert names(index(area_files, skip, backscatter=GEOTIFF)) == [[first.name, slice_.name]]
    assert skip.skipped == [second.name]


@pytest.mark.parametrize("suffix", [".TIF", ".TIFF", ".tiff", ".Tif"])
def test_other_spellings_of_the_suffix_are_as_good(area_files: Any, suffix: str) -> None:
    path = area_files.image(FLAT)
    path.rename(path.with_suffix(suffix))
    assert names(index(area_files)) == [[path.with_suffix(suffix).name]]


def image(time: dt.datetime, orbit: int = 0) -> Image:
    return Image(Path(f"{time:%d%H%M%S}_{orbit}.tif"), time.replace(tzinfo=dt.UTC), "VV", orbit, (0, 0, 1, 1))


def test_passes_without_orbit_numbers_are_told_apart_by_their_time_of_day(caplog: pytest.LogCaptureFixture) -> None:
    start = dt.datetime(2023, 1, 1, 23, 59, 10)
    wobble = [0, 40, 75, -20]  # seconds; some after midnight
    evening = [image(start + dt.timedelta(days=12 * n, seconds=wobble[n])) for n in range(4)]
    morning = [image(start + dt.timedelta(days=12 * n, hours=14, minutes=6)) for n in range(3)]
    neighbour = [image(start + dt.timedelta(days=12 * n + 5, hours=14, minutes=14)) for n in range(2)]
    passes = derive_orbits(group_passes([*evening, *morning, *neighbour]))
    of = {overpass.images[0].path: overpass.orbit for overpass in passes}
    groups = [{of[item.path] for item in group} for group in (evening, morning, neighbour)]
    assert groups == [{1001}, {1002}, {1003}]
    assert all(item.orbit == overpass.orbit for overpass in passes for item in overpass.images)
    (line,) = caplog.messages
    assert line.startswith("9 passes have no orbit number; by their time of day they are of 1001: ")
    assert "1003: 14:13 UTC, 2 passes" in line


def test_one_orbit_without_a_number_stays_and_numbers_that_are_known_too(caplog: pytest.LogCaptureFixture) -> None:
    times = [dt.datetime(2023, 1, 1, 1, 59) + dt.timedelta(days=12 * n) for n in range(3)]
    assert {overpass.orbit for overpass in derive_orbits(group_passes(map(image, times)))} == {0}
    known = [image(times[0], 137), image(times[0] + dt.timedelta(hours=12), 64)]
    assert [overpass.orbit for overpass in derive_orbits(group_passes(known))] == [137, 64]
    assert not caplog.messages
    mixed = [*known, image(times[1])]
    assert [overpass.orbit for overpass in derive_orbits(group_passes(mixed))] == [137, 64, 0]
    assert caplog.messages[0].startswith("1 of 3 passes have no orbit number")


def test_an_orbit_that_the_file_states_is_taken(area_files: Any) -> None:
    path = area_files.raster("sentinel1/VV_20230101T015902.tif", FLAT)
    with rasterio.open(path, "r+") as file:
        file.update_tags(TRACK_NUMBER="137")
    assert [overpass.orbit for overpass in index(area_files, backscatter=GEOTIFF).passes] == [137]


def test_one_incidence_angle_does_not_serve_two_orbits(area_files: Any) -> None:
    for time in ("20230101T015902", "20230101T140602"):
        area_files.raster(f"sentinel1/VV_{time}.tif", FLAT)
    area_files.raster("sentinel1/incidence_0.tif", FLAT * 380)
    backscatter = GEOTIFF | {"incidence_pattern": r"incidence_(?P<orbit>\d+)\.tif"}
    with pytest.raises(DataError, match=r"incidence_0\.tif has no orbit number, but the passes are of several orbits"):
        index(area_files, backscatter=backscatter)


def test_an_image_larger_than_memory_is_left_out_before_it_decides_the_grid(area_files: Any) -> None:
    good = area_files.image(FLAT)
    tiles = {"tiled": True, "blockxsize": 8192, "blockysize": 8192, "sparse_ok": True, "BIGTIFF": "YES"}
    huge = area_files.root / "sentinel1" / good.name.replace("20230101T", "20230113T")
    place = {"crs": "EPSG:32611", "transform": Affine(0.1, 0, 240000, 0, -0.1, 3816000)}
    shape = {"width": 100_000, "height": 100_000, "count": 1, "dtype": "float32"}
    with rasterio.open(huge, "w", driver="GTiff", **shape, **place, **tiles):
        pass
    with pytest.raises(DataError, match=rf"{huge.name}: 100000 x 100000 pixels are more than"):
        index(area_files)
    found = index(area_files, BadFiles("skip"))
    assert (found.grid.pixel, found.grid.shape) == (30, (24, 24))
