from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tests.one_window import read_ndvi

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.faults import BadFiles
from mlssm.sources.ndvi import index_ndvi

LAND = np.linspace(0.1, 0.8, 576).reshape(24, 24).astype(np.float32)
LANDSAT = "LC09_L2SP_042036_20230101_20230125_02_T1"
CLOUD = (slice(3, 6), slice(3, 6))


def masked(folder: Path, grid: Grid, bad: BadFiles | None = None) -> list[Any]:
    bad = bad or BadFiles("error")
    return [read_ndvi(image, grid, grid.full, bad) for image in index_ndvi(folder, None, bad)]


def with_codes(clear: int, cloudy: int) -> Any:
    codes = np.full((24, 24), clear, np.uint8)
    codes[CLOUD] = cloudy
    return codes


@pytest.mark.parametrize(
    ("ndvi", "mask", "clear", "cloudy"),
    [
        ("ndvi_20230101.tif", "SCL_20230101.tif", 4, 9),
        ("ndvi_20230101.tif", "ndvi_20230101_scl.tif", 5, 3),
        ("HLS.S30.T11SKU.2023001_NDVI.tif", "HLS.S30.T11SKU.2023001_Fmask.tif", 64, 2),
        ("HLS.S30.T11SKU.2023001_NDVI.tif", "HLS.S30.T11SKU.2023001_Fmask.tif", 0, 255),
        (f"{LANDSAT}_NDVI.tif", f"{LANDSAT}_QA_PIXEL.tif", 64, 8),
        ("MOD13Q1_NDVI_2023001.tif", "MOD13Q1_pixel_reliability_2023001.tif", 1, 3),
        ("ndvi_20230101.tif", "cloud_mask_20230101.tif", 0, 1),
    ],
)  # fmt: skip
def test_cloudy_pixels_are_missing_by_the_mask_of_the_same_scene(
    area_files: Any, small_grid: Grid, ndvi: str, mask: str, clear: int, cloudy: int
) -> None:
    path = area_files.raster(f"ndvi/{ndvi}", LAND)
    area_files.raster(f"ndvi/{mask}", with_codes(clear, cloudy), nodata=None)
    (found,) = masked(path.parent, small_grid)
    assert np.isnan(found[CLOUD]).all()
    assert np.isnan(found).sum() == 9
    np.testing.assert_array_equal(found[np.isfinite(found)], LAND[np.isfinite(found)])


def test_a_pixel_that_any_cloud_is_averaged_into_is_missing(area_files: Any, small_grid: Grid) -> None:
    """10 m under a grid of 30 m: one cloudy pixel of nine."""
    path = area_files.raster("ndvi/ndvi_20230101.tif", np.full((72, 72), 0.5, np.float32), pixel=10)
    codes = np.full((72, 72), 4, np.uint8)
    codes[10, 10] = 9
    area_files.raster("ndvi/scl_20230101.tif", codes, pixel=10, nodata=0)
    (found,) = masked(path.parent, small_grid)
    assert np.argwhere(np.isnan(found)).tolist() == [[3, 3]]


def test_a_band_that_is_described_as_a_mask_counts(area_files: Any, small_grid: Grid) -> None:
    path = area_files.raster("ndvi/ndvi_20230101.tif", LAND, count=2, nodata=None)
    with rasterio.open(path, "r+") as file:
        file.write(with_codes(0, 1).astype(np.float32), 2)
        file.set_band_description(1, "NDVI")
        file.set_band_description(2, "clouds")
    (found,) = masked(path.parent, small_grid)
    assert np.isnan(found[CLOUD]).all()
    assert np.isnan(found).sum() == 9


def test_images_without_a_mask_and_masks_without_an_image_are_said(
    area_files: Any, small_grid: Grid, caplog: pytest.LogCaptureFixture
) -> None:
    for day in ("20230101", "20230117"):
        path = area_files.raster(f"ndvi/ndvi_{day}.tif", LAND)
    for day in ("20230101", "20230201"):
        area_files.raster(f"ndvi/scl_{day}.tif", with_codes(4, 9), nodata=0)
    first, second = masked(path.parent, small_grid)
    assert (np.isnan(first).sum(), np.isnan(second).sum()) == (9, 0)
    assert "1 of 2 NDVI rasters have no mask of clouds (first: " in caplog.text
    assert "1 masks of clouds (first: " in caplog.text
    assert "scl_20230201.tif) belong to no NDVI raster by their names: not used" in caplog.text


def test_a_mask_of_unknown_meaning_is_not_used_and_said(
    area_files: Any, small_grid: Grid, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether 1 is clear or cloudy, nobody knows."""
    path = area_files.raster("ndvi/ndvi_20230101.tif", LAND)
    area_files.raster("ndvi/mask_20230101.tif", with_codes(1, 0), nodata=None)
    (found,) = masked(path.parent, small_grid)
    assert np.isfinite(found).all()
    assert "1 masks beside NDVI (first: " in caplog.text
    assert "of no known kind (scl, fmask," in caplog.text


def test_a_mask_that_holds_no_codes_is_told(area_files: Any, small_grid: Grid) -> None:
    path = area_files.raster("ndvi/ndvi_20230101.tif", LAND)
    area_files.raster("ndvi/clouds_20230101.tif", LAND)
    with pytest.raises(DataError, match=r"clouds_20230101\.tif is a mask of clouds by its name, and holds no codes"):
        masked(path.parent, small_grid)


def test_cloud_free_in_a_name_is_no_mask(area_files: Any, small_grid: Grid) -> None:
    path = area_files.raster("ndvi/ndvi_cloud_free_20230101.tif", LAND)
    (found,) = masked(path.parent, small_grid)
    np.testing.assert_array_equal(found, LAND)
