"""Windows of remote COGs: their place, values and bytes, and what happens when reads fail."""

from typing import Any

import numpy as np
import pytest
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.origins.answers import Missing, Refused
from mlssm.origins.cog import read_cog
from mlssm.origins.download import Downloads

CRS = "EPSG:32618"
WEST, NORTH = 330000.0, 4300000.0
VALUES = np.random.default_rng(0).gamma(4, 0.025, (640, 640)).astype(np.float32)
# 40 rows and columns of 10 m from row 300 and column 500 on
GRID = Grid(CRS, (WEST + 5000, NORTH - 3000), 10, 40, 40)


@pytest.fixture(scope="module")
def scene(made: Any) -> bytes:
    return bytes(made.cog(VALUES, 10, np.nan))


@pytest.fixture
def url(server: Any, scene: bytes) -> str:
    server.files["/scene.tif"] = scene
    return f"{server.url}/scene.tif"


def test_a_window_has_the_files_own_pixels_and_costs_few_bytes(
    server: Any, downloads: Downloads, url: str, scene: bytes
) -> None:
    cut = read_cog(downloads, url, GRID)
    assert cut is not None
    np.testing.assert_array_equal(cut.values, VALUES[300:340, 500:540])
    assert server.sent == cut.read_bytes
    assert cut.needed_bytes > cut.values.nbytes / 2
    # the header, and the blocks of 128 x 128 that the window lies on: of 25 blocks four
    assert cut.read_bytes < cut.needed_bytes + 2 * 32768
    assert cut.read_bytes < len(scene) / 4
    assert cut.requests <= 4


def test_a_coarser_grid_takes_means(downloads: Downloads, url: str) -> None:
    coarse = Grid(CRS, (WEST + 5000, NORTH - 3000), 20, 20, 20)
    cut = read_cog(downloads, url, coarse)
    assert cut is not None
    means = VALUES[300:340, 500:540].reshape(20, 2, 20, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(cut.values, means, rtol=1e-5)


def test_the_window_of_a_file_that_ends_inside_the_grid(downloads: Downloads, url: str) -> None:
    beyond = Grid(CRS, (WEST - 100, NORTH + 50), 10, 20, 30)
    cut = read_cog(downloads, url, beyond)
    assert cut is not None
    assert (cut.window.row, cut.window.col, *cut.window.shape) == (5, 10, 15, 20)
    np.testing.assert_array_equal(cut.values, VALUES[:15, :20])
    assert read_cog(downloads, url, Grid(CRS, (WEST - 9000, NORTH), 10, 20, 20)) is None


def test_missing_pixels_are_missing(server: Any, downloads: Downloads, made: Any) -> None:
    holes = VALUES.copy()
    holes[300:310] = -32768
    server.files["/holes.tif"] = made.cog(holes, 10, -32768)
    cut = read_cog(downloads, f"{server.url}/holes.tif", GRID)
    assert cut is not None
    assert np.isnan(cut.values[:10]).all()
    np.testing.assert_array_equal(cut.values[10:], VALUES[310:340, 500:540])


@pytest.mark.parametrize("faults", [[429, 500, 503], ["hang", 500], ["cut", "cut"]], ids=str)
def test_reads_that_fail_for_now_are_tried_again(
    server: Any, downloads: Downloads, url: str, faults: list[int | str]
) -> None:
    server.faults["/scene.tif"] = list(faults)
    cut = read_cog(downloads, url, GRID)
    assert cut is not None
    np.testing.assert_array_equal(cut.values, VALUES[300:340, 500:540])


def test_a_link_that_expires_between_two_reads_is_signed_anew(server: Any, downloads: Downloads, url: str) -> None:
    server.token = "1"
    tokens = iter(range(1, 9))
    current = [str(next(tokens))]

    def sign(address: str, refused: bool) -> str:
        if refused:
            current[0] = str(next(tokens))
        elif server.seen:
            server.token = "2"  # from the second read on, the first link is over
        return f"{address}?sig={current[0]}"

    cut = read_cog(downloads, url, GRID, sign=sign)
    assert cut is not None
    np.testing.assert_array_equal(cut.values, VALUES[300:340, 500:540])
    assert current == ["2"]


@pytest.mark.parametrize(("status", "kind"), [(403, Refused), (404, Missing)])
def test_what_fails_for_good_is_told(
    server: Any, downloads: Downloads, url: str, status: int, kind: type[DataError]
) -> None:
    server.faults["/scene.tif"] = [status]
    with pytest.raises(kind, match=f"status {status}"):
        read_cog(downloads, url, GRID)


def test_a_read_inside_gdal_that_fails_for_good_is_told(
    server: Any, downloads: Downloads, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlssm.origins.cog._blocks", lambda dataset, window: [])  # so that GDAL itself asks for them
    server.faults["/scene.tif"] = ["", 403]
    with pytest.raises(Refused, match="status 403"):
        read_cog(downloads, url, GRID)


def test_what_is_no_geotiff_or_lies_nowhere_is_refused(server: Any, downloads: Downloads) -> None:
    server.files["/junk.tif"] = b"junk" * 1000
    with pytest.raises(DataError, match="cannot be read as a GeoTIFF"):
        read_cog(downloads, f"{server.url}/junk.tif", GRID)
    with MemoryFile() as memory:
        place = {"transform": Affine(10, 0, WEST, 0, -10, NORTH)}
        with memory.open(driver="GTiff", width=300, height=300, count=1, dtype="float32", **place) as dataset:
            dataset.write(VALUES[:300, :300], 1)
        server.files["/nowhere.tif"] = memory.read()
    with pytest.raises(DataError, match=r"no CRS.*not terrain-corrected"):
        read_cog(downloads, f"{server.url}/nowhere.tif", GRID)
