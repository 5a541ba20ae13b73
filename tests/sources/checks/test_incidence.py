from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tests.one_window import read_incidence

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.faults import BadFiles

DEGREES = np.linspace(33, 39, 576).reshape(24, 24)


def angle(area_files: Any, values: Any, dtype: str = "float32", name: str = "incidence_137.tif") -> Path:
    path: Path = area_files.raster(name, np.asarray(values).astype(dtype), nodata=None)
    return path


def read(grid: Grid, *paths: Path, bad: BadFiles | None = None) -> Any:
    return read_incidence(paths, grid, grid.full, bad or BadFiles("error"))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.radians(DEGREES), "float32"), (np.cos(np.radians(DEGREES)), "float32"), (DEGREES * 100, "int16"),
        (DEGREES / 100, "float32"), (np.where(DEGREES < 34, -9999, DEGREES), "float32"),
    ],
)  # fmt: skip
def test_what_is_not_in_degrees_is_refused(area_files: Any, small_grid: Grid, values: Any, dtype: str) -> None:
    with pytest.raises(DataError, match=r"incidence_137\.tif holds .*degrees"):
        read(small_grid, angle(area_files, values, dtype))


@pytest.mark.parametrize("unit", ["rad", "Radians", "cosine"])
def test_a_unit_that_the_file_states_counts(area_files: Any, small_grid: Grid, unit: str) -> None:
    path = angle(area_files, DEGREES)
    with rasterio.open(path, "r+") as file:
        file.units = (unit,)
    with pytest.raises(DataError, match=f"in '{unit}'; convert it to degrees"):
        read(small_grid, path)


def test_zeros_are_missing_with_a_line(area_files: Any, small_grid: Grid) -> None:
    bad = BadFiles("error")
    found = read(small_grid, angle(area_files, np.where(DEGREES < 34, 0, DEGREES)), bad=bad)
    np.testing.assert_array_equal(np.isnan(found), DEGREES < 34)
    assert "exactly 0" in bad.corrections()[0]


def test_angles_of_two_orbits_under_one_number_are_refused(area_files: Any, small_grid: Grid) -> None:
    first, second = angle(area_files, DEGREES, name="a.tif"), angle(area_files, DEGREES + 9, name="b.tif")
    with pytest.raises(DataError, match=r"b\.tif has 45 where a\.tif"):
        read(small_grid, first, second)
    np.testing.assert_allclose(read(small_grid, first, angle(area_files, DEGREES + 1, name="b.tif")), DEGREES, 1e-6)
