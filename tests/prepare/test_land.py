"""The land comes in blocks, in tasks of its own, and is the same as if it came whole."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.forked import Bytes, begun, content
from tests.one_window import whole

from mlssm import cube_writer
from mlssm.builds import Build
from mlssm.config import DaskConfig
from mlssm.cube import Cube
from mlssm.errors import ChangedError, DataError
from mlssm.grid import Grid, Window
from mlssm.jobs.verify import verify
from mlssm.prepare import land
from mlssm.prepare.area import prepare
from mlssm.shards import CheckedStore
from mlssm.sources.faults import BadFiles
from mlssm.sources.mosaic import Reading
from mlssm.sources.ndvi import NdviReading, index_ndvi
from mlssm.sources.sample import Sample
from mlssm.sources.static import soil_reading
from mlssm.sources.terrain import TERRAIN, TerrainReading

GRID = Grid("EPSG:32611", (240000, 3816000), 30, 100, 90)
BLOCK = 32
BAD = BadFiles("error")
RNG = np.random.default_rng(3)
HEIGHTS = (np.add.outer(np.arange(140.0), 2 * np.arange(130.0)) + RNG.normal(0, 2, (140, 130))).astype(np.float32)


def in_blocks(reading: Reading, grid: Grid = GRID) -> Any:
    """All of the grid, block by block."""
    found: Any = None
    with reading:
        while found is None or not reading.judged():
            for row in range(0, grid.height, BLOCK):
                for col in range(0, grid.width, BLOCK):
                    window = Window(row, col, BLOCK, BLOCK).intersection(grid.full)
                    values = reading.window(window)
                    if found is None:
                        found = np.full((*values.shape[:-2], *grid.shape), -99, np.float32)
                    found[(..., *window.slices)] = values
    return found


def dem(area_files: Any, **profile: Any) -> Path:
    """A bit more than the grid, with a gap."""
    values = HEIGHTS.copy()
    values[50:52, 60:70] = np.nan
    path: Path = area_files.raster("dem.tif", values, (240000 - 600, 3816000 + 600), **profile)
    return path


def test_terrain_in_blocks_is_terrain_to_the_bit(area_files: Any) -> None:
    paths, derived = [dem(area_files)], tuple(TERRAIN)
    blocks = in_blocks(TerrainReading(GRID, BAD, paths=paths, derived=derived))
    np.testing.assert_array_equal(blocks, whole(TerrainReading(GRID, BAD, paths=paths, derived=derived), GRID.full))
    assert np.isnan(blocks[1]).sum() > np.isnan(blocks[0]).sum() > 10


@pytest.mark.parametrize("pixel", [90, 10])
def test_another_pixel_differs_by_what_gdal_approximates(area_files: Any, pixel: int) -> None:
    """Of one projection nothing is approximated; the blocks' corners round in the last bits of float32."""
    side = 140 * 30 // pixel
    values = np.add.outer(np.arange(side), 2 * np.arange(side)).astype(np.float32) * pixel / 30
    path = area_files.raster("dem.tif", values, (240000 - 605, 3816000 + 605), pixel=pixel)
    blocks = in_blocks(TerrainReading(GRID, BAD, paths=[path]))
    np.testing.assert_allclose(blocks, whole(TerrainReading(GRID, BAD, paths=[path]), GRID.full), rtol=0, atol=1e-4)


def test_soil_and_ndvi_in_blocks_are_the_same_to_the_bit(area_files: Any) -> None:
    codes = RNG.integers(1, 5, (140, 130)).astype(np.uint8)
    soil = [area_files.raster("soil/soil.tif", codes, (240000 - 600, 3816000 + 600), nodata=0)]
    blocks = in_blocks(soil_reading(GRID, BAD, paths=soil))
    np.testing.assert_array_equal(blocks, whole(soil_reading(GRID, BAD, paths=soil), GRID.full))
    values = RNG.uniform(0.1, 0.8, (140, 130)).astype(np.float32)
    values[:30] = 0  # a constant, which no block shows as such
    area_files.raster("ndvi/ndvi_20230101.tif", values, (240000 - 600, 3816000 + 600))
    (image,) = index_ndvi(area_files.root / "ndvi", None, BAD)
    blocks = in_blocks(NdviReading(GRID, BAD, image=image))
    np.testing.assert_array_equal(blocks, whole(NdviReading(GRID, BAD, image=image), GRID.full))
    assert np.isnan(blocks[:10]).all()
    assert np.isfinite(blocks[10:]).all()


def test_what_no_block_tells_is_refused(area_files: Any) -> None:
    """Two pixels of 9 in each of two blocks are four: holes; 20 classes in each of two are 40."""
    holes = HEIGHTS + 500
    for row in (30, 100):
        holes[row, 30:32] = 9
    path = area_files.raster("dem.tif", holes, (240000 - 600, 3816000 + 600))
    with pytest.raises(DataError, match=r"dem\.tif holds 9 beside \d+.*holes, and no land"):
        in_blocks(TerrainReading(GRID, BAD, paths=[path]))
    codes = RNG.integers(1, 21, (140, 130)).astype(np.uint8)
    codes[70:] += 20
    path = area_files.raster("soil.tif", codes, (240000 - 600, 3816000 + 600), nodata=0)
    with pytest.raises(DataError, match="holds 40 classes"):
        in_blocks(soil_reading(GRID, BAD, paths=[path]))


def test_a_file_that_turns_out_bad_leaves_nothing_behind(area_files: Any) -> None:
    """Its first blocks were used before its last one showed it."""
    corner = (240000 - 600, 3816000 + 600)
    bad_values = HEIGHTS.copy()
    bad_values[-30, -30] = -9999
    paths = [area_files.raster("a.tif", bad_values, corner), area_files.raster("b.tif", HEIGHTS + 3, corner)]
    bad = BadFiles("skip")
    blocks = in_blocks(TerrainReading(GRID, bad, paths=paths))
    assert bad.skipped == ["a.tif"]
    np.testing.assert_array_equal(blocks[0], (HEIGHTS + 3)[20:120, 20:110])


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(2, 30))
def test_a_sample_is_evenly_taken(lengths: list[int], most: int) -> None:
    sample, start = Sample(most), 0
    for length in lengths:
        values = np.arange(start, start + length, dtype=np.float32)
        sample.add(values, -values)
        start += length
    assert sample.total == start
    if lengths:
        first, second = sample.values()
        np.testing.assert_array_equal(first, -second)
        step = 1
        while -(-start // step) > most:
            step *= 2
        np.testing.assert_array_equal(first, np.arange(0, start, step))


@pytest.fixture(scope="module")
def area(area_files_in: Any, speckled: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every source of the land, of several tasks."""
    files = area_files_in(tmp_path_factory.mktemp("land"))
    files.weather(days=70)
    for day in range(2):
        files.image(speckled * (1 + day / 9), f"202301{1 + 6 * day:02d}T015902")
    corner = (239400, 3816600)
    files.raster("dem/dem.tif", HEIGHTS, corner)
    files.raster("soil/soil.tif", RNG.integers(1, 5, HEIGHTS.shape).astype(np.uint8), corner, nodata=0)
    for number, level in enumerate((0.2, np.nan, 0.4, 0.6)):
        files.raster(f"ndvi/ndvi_2022120{number + 1}.tif", np.full(HEIGHTS.shape, level, np.float32), corner)
    old = time.time() - 60
    for path in files.root.rglob("*"):
        os.utime(path, (old, old))
    return files


def run(area: Any, cubes: Path, dask: DaskConfig | None = None) -> Cube:
    config = area.config(dem="dem", soil="soil", ndvi="ndvi", cubes=cubes)
    return prepare(config, "error", None, dask or DaskConfig(workers=2))


@pytest.fixture(scope="module")
def undisturbed(area: Any, tmp_path_factory: pytest.TempPathFactory) -> Bytes:
    cubes = tmp_path_factory.mktemp("whole")
    cube = run(area, cubes)
    assert cube.ndvi_days.astype(str).tolist() == ["2022-12-01", "2022-12-03", "2022-12-04"]
    np.testing.assert_allclose(cube.ndvi(1, cube.extents[0]), 0.4)
    assert verify([cube.path]) == 0
    return content(cubes)


@pytest.mark.parametrize("step", [1, 3, 5, 6])
def test_a_kill_at_each_stage_of_the_land(
    area: Any, undisturbed: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Killed in its n-th shard; what is done is not done again, and the bytes are those of no kill."""
    plain, count = CheckedStore.set, [0]

    async def killed(self: CheckedStore, key: str, value: Any) -> None:
        count[0] += 1
        if count[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        await plain(self, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(CheckedStore, "set", killed)
        process = begun(run, area, tmp_path, DaskConfig(workers=1))
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    (build,) = tmp_path.glob(".*.building")
    done = {path.stem for path in (build / "markers").glob("*.json")}
    again, task = [], land.prepare_land
    monkeypatch.setattr(land, "prepare_land", lambda what, item: (again.append(item.name), task(what, item)))
    run(area, tmp_path)
    assert not done & set(again)
    assert content(tmp_path) == undisturbed


def test_a_kill_while_days_move_up(
    area: Any, undisturbed: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, count = Path.rename, [0]

    def stopped(self: Path, target: Any) -> Path:
        if self.parent.parent.name == "ndvi":
            count[0] += 1
            if count[0] == 2:
                raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(area, tmp_path)
    run(area, tmp_path)
    assert content(tmp_path) == undisturbed


def test_a_file_that_changes_while_days_move_up_is_said(
    area_files: Any, speckled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    area_files.weather()
    area_files.image(speckled)
    for day, level in ((1, np.nan), (2, 0.4)):
        area_files.raster(f"ndvi/ndvi_2022120{day}.tif", np.full((24, 24), level, np.float32))
    config = area_files.config(ndvi="ndvi")
    with monkeypatch.context() as patched:
        patched.setattr(land.CubeWriter, "days", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(config, "error")
    area_files.raster("ndvi/ndvi_20221201.tif", np.full((24, 24), 0.3, np.float32))
    with pytest.raises(ChangedError, match="files of ndvi changed while the cube was completed"):
        prepare(config, "error")
    assert len(prepare(config, "error").ndvi_days) == 2


@pytest.mark.slow
@pytest.mark.exhaustive
def test_processes_write_the_same_land(area: Any, undisturbed: Bytes, tmp_path: Path) -> None:
    run(area, tmp_path, DaskConfig(name="processes", workers=2))
    assert content(tmp_path) == undisturbed


def test_shards_of_the_land_are_those_of_the_area(
    area: Any, undisturbed: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small shards, so that an extent has several: the values are the same."""
    monkeypatch.setattr(cube_writer, "CHUNK", 8)
    monkeypatch.setattr(cube_writer, "SHARD", 16)
    monkeypatch.setattr("mlssm.prepare.area.CubeWriter", cube_writer.CubeWriter)
    cube = run(area, tmp_path)
    assert len(list((cube.path / "static" / "c" / "0").rglob("*"))) > 4
    wanted = HEIGHTS[20:44, 20:44]
    np.testing.assert_array_equal(cube.static("elevation", cube.extents[0]), wanted)
    np.testing.assert_array_equal(cube.static("slope", cube.extents[0]), TERRAIN["slope"](HEIGHTS, 30)[20:44, 20:44])


def test_what_a_marker_tells_of_is_on_the_disk(area: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of the cube was forced to the disk before it was moved to its place, shards before their marker."""
    order: list[Path] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        order.append(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)

    mark = Build.mark

    def marked(self: Build, name: str, values: Any) -> None:
        order.append(Path(name))
        mark(self, name, values)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Build, "mark", marked)
    cube = run(area, tmp_path, DaskConfig(workers=1))
    names = [path.as_posix() for path in order]
    shard = next(place for place, name in enumerate(names) if "/static/c/0/" in name)
    folder = next(place for place, name in enumerate(names) if name.endswith("/static/c/0"))
    assert max(shard, folder) < names.index("land-dem")
    assert names[-1] == tmp_path.resolve().as_posix()  # once the cube stands in it
    below = {path.relative_to(cube.path) for path in cube.path.rglob("*") if path.is_file()}
    (group,) = {path.parent for path in order if path.name == "zarr.json" and path.parent.name == "cube"} & {
        path for path in order if path.parent.name.endswith(".building")
    }
    assert {group / path for path in below} <= set(order)
