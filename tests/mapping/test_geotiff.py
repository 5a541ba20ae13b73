import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rio_cogeo.cogeo import cog_validate

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import NAME_TAG, Band, Block, write_cog

# as large and as empty as the real input's grid
GRID = Grid("EPSG:32611", (145800.0, 3909030.0), 30.0, 3300, 3700)
CORNERS = ((0, 0), (100, 2830), (1231, 3020), (2560, 3207), (3200, 3600))
TAGS = {"date": "2023-01-01", "run_id": "0f3a", "model": "ConvLSTM", "support_m": "150"}


def _blocks() -> list[Block]:
    rng = np.random.default_rng(0)
    blocks = [(Window(row, col, 100, 100), rng.random((100, 100), dtype=np.float32)) for row, col in CORNERS]
    blocks[0][1][:10] = np.nan
    blocks[1][1][0, :2] = 0.0, 1.0
    return blocks


@pytest.fixture(scope="module")
def cog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("maps") / "new" / "ssm_20230101.tif"
    write_cog(path, _blocks(), GRID, TAGS, "soil moisture")
    return path


def test_it_is_a_valid_cog_with_overviews_and_no_empty_blocks(cog: Path) -> None:
    assert cog_validate(cog, strict=True, quiet=True) == (True, [], [])
    assert cog.stat().st_size < 400_000  # the grid is 49 MB, the five extents 200 kB
    with rasterio.open(cog) as source:
        assert source.overviews(1)[:3] == [2, 4, 8]
        assert source.compression.name == "deflate"
        assert source.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"


def test_it_lies_where_the_grid_lies_and_nodata_is_nodata(cog: Path) -> None:
    with rasterio.open(cog) as source:
        assert source.crs == rasterio.CRS.from_epsg(32611)
        assert source.transform == GRID.transform
        assert source.shape == GRID.shape
        assert source.dtypes == ("float32",)
        assert np.isnan(source.nodata)
        values, known = source.read(1), source.read_masks(1) > 0
    expected = np.full(GRID.shape, np.nan, dtype=np.float32)
    for window, block in _blocks():
        expected[window.slices] = block
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(known, ~np.isnan(expected))


def test_overviews_average_and_do_not_count_nodata(cog: Path) -> None:
    with rasterio.open(cog, overview_level=0) as source:
        half = source.read(1)[:50, :50]
    block = _blocks()[0][1]
    assert np.isnan(half[:5]).all()
    np.testing.assert_allclose(half[5:], block[10:].reshape(45, 2, 50, 2).mean((1, 3)), rtol=1e-5)


def test_it_says_what_it_is(cog: Path) -> None:
    with rasterio.open(cog) as source:
        assert source.descriptions == ("soil moisture",)
        assert source.units == ("1",)
        tags, band = source.tags(), source.tags(1)
    assert TAGS.items() <= tags.items()
    assert tags["units"].startswith("1 (relative soil moisture")
    assert float(band["STATISTICS_MINIMUM"]) == 0
    assert float(band["STATISTICS_MAXIMUM"]) == 1


def test_a_map_without_a_value_is_a_valid_cog_too(tmp_path: Path) -> None:
    path = tmp_path / "empty.tif"
    write_cog(path, [(Window(0, 0, 9, 9), np.full((9, 9), np.nan, dtype=np.float32))], GRID, {}, "soil moisture")
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert np.isnan(source.read(1, window=rasterio.windows.Window(0, 0, 300, 300))).all()


def test_a_grid_of_one_block_needs_no_overviews(tmp_path: Path) -> None:
    grid = Grid("EPSG:32611", (0.0, 0.0), 10.0, 100, 60)
    values = np.full((100, 60), 0.5, dtype=np.float32)
    write_cog(tmp_path / "small.tif", [(grid.full, values)], grid, TAGS, "soil moisture")
    assert cog_validate(tmp_path / "small.tif", strict=True, quiet=True) == (True, [], [])


@pytest.mark.parametrize("bad", [-0.001, 1.001, np.inf])
def test_values_out_of_range_are_refused_and_nothing_is_left(tmp_path: Path, bad: float) -> None:
    values = np.full((4, 4), 0.5, dtype=np.float32)
    values[1, 2] = bad
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        write_cog(tmp_path / "bad.tif", [(Window(0, 0, 4, 4), values)], GRID, TAGS, "soil moisture")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("window", "dtype", "message"),
    [
        (Window(0, 0, 4, 5), np.float32, "of its window's shape"),
        (Window(0, 0, 4, 4), np.float64, "must be float32"),
        (Window(3297, 0, 4, 4), np.float32, "reaches out of a grid"),
        (Window(-1, 0, 4, 4), np.float32, "reaches out of a grid"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(tmp_path: Path, window: Window, dtype: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_cog(tmp_path / "bad.tif", [(window, np.zeros((4, 4), dtype=dtype))], GRID, TAGS, "soil moisture")


def test_blocks_that_overlap_are_refused(tmp_path: Path) -> None:
    values = np.zeros((4, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="blocks overlap"):
        write_cog(tmp_path / "bad.tif", [(Window(0, 0, 4, 4), values), (Window(3, 3, 4, 4), values)], GRID, {}, "ssm")


def test_a_failed_write_leaves_the_older_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.tif"
    path.write_bytes(b"older")

    def full_disk(*_args: object, **_options: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("mlssm.mapping.geotiff.rasterio.shutil.copy", full_disk)
    with pytest.raises(DataError, match=r"map\.tif cannot be written \(No space left on device\)"):
        write_cog(path, _blocks(), GRID, TAGS, "soil moisture")
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_lost_values_is_not_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cog(tmp_path / "empty.tif", [], GRID, {}, "soil moisture")

    def lose(_source: Path, target: Path, **_options: object) -> None:
        shutil.copy(tmp_path / "empty.tif", target)

    monkeypatch.setattr("mlssm.mapping.geotiff.rasterio.shutil.copy", lose)
    with pytest.raises(DataError, match="read back differ"):
        write_cog(tmp_path / "map.tif", _blocks(), GRID, TAGS, "soil moisture")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.tif"]


def test_what_gdal_cannot_copy_is_the_users_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = rasterio.shutil.copy

    def astray(source: Path, target: Path, **options: str) -> None:
        copy(source, target.parent / "missing" / target.name, **options)

    monkeypatch.setattr("mlssm.mapping.geotiff.rasterio.shutil.copy", astray)
    with pytest.raises(DataError, match=r"map\.tif cannot be written"):
        write_cog(tmp_path / "map.tif", _blocks(), GRID, TAGS, "soil moisture")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("")
    with pytest.raises(DataError, match="choose another folder"):
        write_cog(tmp_path / "maps" / "map.tif", _blocks(), GRID, TAGS, "soil moisture")


def test_bands_have_names_and_ranges_of_their_own(tmp_path: Path) -> None:
    grid = Grid("EPSG:32611", (0.0, 0.0), 30.0, 4, 4)
    ssm, flags = np.full((4, 4), 0.5, np.float32), np.full((4, 4), 33, np.float32)
    band = Band("flags", "what its values rest on", "1", [(grid.full, flags)], 127.0)
    write_cog(tmp_path / "map.tif", [(grid.full, ssm)], grid, {}, "soil moisture", [band])
    with rasterio.open(tmp_path / "map.tif") as source:
        assert [source.tags(number)[NAME_TAG] for number in source.indexes] == ["ssm", "flags"]
        assert source.descriptions == ("soil moisture", "what its values rest on")
        np.testing.assert_array_equal(source.read(2), flags)
    with pytest.raises(ValueError, match=r"flags must lie in 0\.\.1, not 33"):
        write_cog(tmp_path / "bad.tif", [(grid.full, ssm)], grid, {}, "soil moisture", [replace(band, high=1.0)])
