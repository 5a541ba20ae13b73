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

LAND = np.linspace(0.1, 0.8, 576).reshape(24, 24)


def ndvi(area_files: Any, values: Any, dtype: str = "float32", scale: float = 1.0, offset: float = 0.0) -> Path:
    path: Path = area_files.raster("ndvi/ndvi_20230101.tif", np.asarray(values).astype(dtype), nodata=None)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,), (offset,)
    return path


def read(path: Path, grid: Grid) -> tuple[Any, BadFiles]:
    bad = BadFiles("error")
    (image,) = index_ndvi(path.parent, None, bad)
    return read_ndvi(image, grid, grid.full, bad), bad


@pytest.mark.parametrize(
    ("values", "dtype", "scale"),
    [
        (LAND * 10000, "int16", 10000), (LAND * 100, "float32", 1), (LAND * 1e-4, "float32", 1),
        (LAND * 10000, "int16", 1e-8), (np.where(LAND < 0.2, 255, LAND * 250), "uint8", 0.004),
        (np.where(LAND < 0.2, -9999, LAND), "float32", 1), (np.where(LAND < 0.2, 3.4e38, LAND), "float32", 1),
    ],
)  # fmt: skip
def test_what_is_scaled_otherwise_is_refused(
    area_files: Any, small_grid: Grid, values: Any, dtype: str, scale: float
) -> None:
    with pytest.raises(DataError, match=r"ndvi_20230101\.tif holds .*scale"):
        read(ndvi(area_files, values, dtype, scale), small_grid)


@pytest.mark.parametrize(
    ("factor", "dtype", "scale", "offset"), [(10000, "int16", 1e-4, 0), (100, "uint8", 0.01, -1), (1, "float64", 1, 0)]
)
def test_what_the_file_states_is_applied(
    area_files: Any, small_grid: Grid, factor: float, dtype: str, scale: float, offset: float
) -> None:
    path = ndvi(area_files, np.round((LAND - offset) * factor) if "int" in dtype else LAND, dtype, scale, offset)
    np.testing.assert_allclose(read(path, small_grid)[0], LAND, atol=0.6 * scale if "int" in dtype else 1e-6)


@pytest.mark.parametrize("fill", [-0.3, 0.0, -1.0, 1.0])
def test_a_constant_that_stands_apart_is_missing_with_a_line(area_files: Any, small_grid: Grid, fill: float) -> None:
    values = LAND.copy()
    values[:4] = fill
    found, bad = read(ndvi(area_files, values), small_grid)
    assert np.isnan(found[:4]).all()
    np.testing.assert_allclose(found[4:], LAND[4:], atol=1e-6)
    assert bad.corrections() == (
        f"NDVI of exactly {fill:g}, a constant, was taken as missing: in 1 files (first: ndvi_20230101.tif)",
    )


def test_deserts_and_water_are_no_fills(area_files: Any, small_grid: Grid) -> None:
    rng = np.random.default_rng(0)
    desert = np.round(rng.normal(0.0, 0.01, (24, 24)), 3)  # many exact zeros, and neighbours of each
    found, bad = read(ndvi(area_files, np.where(LAND < 0.3, desert, LAND)), small_grid)
    assert np.isfinite(found).all()
    assert not bad.corrected
