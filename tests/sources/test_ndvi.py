import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.one_window import read_ndvi

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.faults import BadFiles
from mlssm.sources.ndvi import index_ndvi

ERROR = BadFiles("error")


def folder(area_files: Any, **images: Any) -> Path:
    for name, values in images.items():
        area_files.raster(f"ndvi/{name}.tif", np.full((24, 24), values, np.float32))
    return Path(area_files.root / "ndvi")


def test_images_come_in_the_order_of_their_days(area_files: Any, small_grid: Grid, opera_conf: dict[str, Any]) -> None:
    path = folder(area_files, ndvi_20230115=0.5, ndvi_20221231=-0.25)
    images = index_ndvi(path, opera_conf["ndvi_pattern"], ERROR)
    assert [image.day for image in images] == [dt.date(2022, 12, 31), dt.date(2023, 1, 15)]
    np.testing.assert_array_equal(read_ndvi(images[0], small_grid, small_grid.full, ERROR), np.float32(-0.25))


def test_tiles_of_one_day_are_one_image(area_files: Any, small_grid: Grid, opera_conf: dict[str, Any]) -> None:
    west, east = np.full((24, 24), 0.2, np.float32), np.full((24, 24), 0.6, np.float32)
    west[:, 12:], east[:, :8] = np.nan, np.nan
    area_files.raster("ndvi/A_20230115.tif", west)
    area_files.raster("ndvi/B_20230115.tif", east)
    (image,) = index_ndvi(area_files.root / "ndvi", opera_conf["ndvi_pattern"], ERROR)
    found = read_ndvi(image, small_grid, small_grid.full, ERROR)
    np.testing.assert_allclose(found[0], [0.2] * 12 + [0.6] * 12)


def test_values_that_are_no_ndvi_are_named(area_files: Any, small_grid: Grid, opera_conf: dict[str, Any]) -> None:
    path = folder(area_files, MOD13_20230115=4523)
    (image,) = index_ndvi(path, opera_conf["ndvi_pattern"], ERROR)
    with pytest.raises(DataError, match=r"MOD13_20230115\.tif holds 4523, but NDVI lies in .*times 10000"):
        read_ndvi(image, small_grid, small_grid.full, ERROR)
    skip = BadFiles("skip")
    assert np.isnan(read_ndvi(image, small_grid, small_grid.full, skip)).all()
    assert skip.skipped == ["MOD13_20230115.tif"]


def test_a_folder_without_a_dated_name(area_files: Any, opera_conf: dict[str, Any]) -> None:
    path = folder(area_files, summer=0.5)
    with pytest.raises(DataError, match=r"matches datamodule\.ndvi_pattern .*summer\.tif"):
        index_ndvi(path, opera_conf["ndvi_pattern"], ERROR)


def test_a_folder_in_which_nothing_can_be_read(area_files: Any, opera_conf: dict[str, Any]) -> None:
    path = folder(area_files, ndvi_20230101=0.5)
    (path / "ndvi_20230101.tif").write_text("text")
    with pytest.raises(DataError, match=r"ndvi_20230101\.tif cannot be read"):
        index_ndvi(path, opera_conf["ndvi_pattern"], ERROR)
    with pytest.raises(DataError, match=r"no NDVI raster in .* can be read"):
        index_ndvi(path, opera_conf["ndvi_pattern"], BadFiles("skip"))
