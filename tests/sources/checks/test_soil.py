from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tests.one_window import read_soil

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.faults import BadFiles

CLASSES = np.kron([[1, 9], [4, 12]], np.ones((12, 12)))


def soil(area_files: Any, values: Any, dtype: str = "uint8", name: str = "soil.tif", **profile: Any) -> Path:
    path: Path = area_files.raster(name, np.asarray(values).astype(dtype), **{"nodata": None} | profile)
    return path


def read(grid: Grid, *paths: Path, bad: BadFiles | None = None) -> Any:
    return read_soil(paths, grid, grid.full, bad or BadFiles("error"))


@pytest.mark.parametrize(
    ("fill", "dtype", "told"),
    [
        (255, "uint8", "255"), (65535, "uint16", "65535"), (-9999, "int16", "-9999"), (-32768, "int16", "-32768"),
        (2**31 - 1, "uint32", "2147483647"), (2**32 - 1, "uint32", "4294967295"), (-(2**31), "int32", "-2147483648"),
        (3.4e38, "float32", "3.4e+38"),
    ],
)  # fmt: skip
def test_a_fill_is_no_class(area_files: Any, small_grid: Grid, fill: float, dtype: str, told: str) -> None:
    values = CLASSES.copy()
    values[:3] = fill
    with pytest.raises(DataError) as error:
        read(small_grid, soil(area_files, values, dtype))
    assert f"soil.tif holds {told}, no soil class; declare it as missing, e.g. `rio edit-info --nodata {told}`" in str(
        error.value
    )
    if dtype == "uint8":
        assert set(np.unique(read(small_grid, soil(area_files, values, dtype, nodata=fill)))) > {1, 4, 9, 12}


def test_a_colour_table_is_natural(area_files: Any, small_grid: Grid) -> None:
    path = soil(area_files, CLASSES)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (255, 0, 0, 255), 4: (0, 255, 0, 255)})
    np.testing.assert_array_equal(read(small_grid, path), CLASSES)


def test_measured_values_are_no_classes(area_files: Any, small_grid: Grid) -> None:
    np.testing.assert_array_equal(read(small_grid, soil(area_files, CLASSES, "float32")), CLASSES)
    with pytest.raises(DataError, match=r"holds 1\.5, no class code; give classes as whole numbers"):
        read(small_grid, soil(area_files, CLASSES * 1.5, "float32"))


def test_more_than_30_classes_are_refused_with_the_cure(area_files: Any, small_grid: Grid) -> None:
    many = np.arange(24 * 24).reshape(24, 24) % 31 + 1
    with pytest.raises(DataError, match=r"holds 31 classes \(1\.\.31\), more than 30; group them"):
        read(small_grid, soil(area_files, many))
    read(small_grid, soil(area_files, np.minimum(many, 30)))
    with pytest.raises(DataError, match=r"31 classes \(3300001\.\.3300031\)"):
        read(small_grid, soil(area_files, many + 3300000, "uint32"))


def test_measured_values_that_meet_a_fill_are_told_as_too_many(area_files: Any, small_grid: Grid) -> None:
    with pytest.raises(DataError, match=r"holds \d+ classes .*measured values are a layer, datamodule\.layers"):
        read(small_grid, soil(area_files, 100 + np.arange(24 * 24).reshape(24, 24) % 300, "int16"))


def test_a_code_far_from_all_others_is_told(area_files: Any, small_grid: Grid) -> None:
    values, bad = CLASSES.copy(), BadFiles("error")
    values[:3] = 254
    assert 254 in read(small_grid, soil(area_files, values), bad=bad)
    assert bad.corrections()[0].startswith("code 254, far from all others (1..12), is a class")


def test_zero_beside_map_unit_keys_is_missing_and_beside_classes_is_told(area_files: Any, small_grid: Grid) -> None:
    values = CLASSES.copy()
    values[:3] = 0
    with pytest.raises(DataError, match="holds 0 beside codes from 3300001; declare it as missing"):
        read(small_grid, soil(area_files, np.where(values > 0, values + 3300000, 0), "uint32"))
    bad = BadFiles("error")
    assert 0 in read(small_grid, soil(area_files, values), bad=bad)
    assert bad.corrections()[0].startswith("soil class 0, which nothing declares as missing, was taken as a class")


def test_two_rasters_of_other_properties_are_refused(area_files: Any, small_grid: Grid) -> None:
    first, second = soil(area_files, CLASSES, name="a.tif"), soil(area_files, CLASSES + 3, name="b.tif")
    with pytest.raises(DataError, match=r"b\.tif has .* where a\.tif in the same folder"):
        read(small_grid, first, second)


def test_a_picture_is_no_soil_map(area_files: Any, small_grid: Grid) -> None:
    with pytest.raises(DataError, match=r"has 3 bands .*gdal_translate -b 1"):
        read(small_grid, soil(area_files, CLASSES, count=3))
