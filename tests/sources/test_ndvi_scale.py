import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.one_window import read_ndvi

from mlssm.config.sources import NdviSource
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.faults import BadFiles
from mlssm.sources.ndvi import index_ndvi

GREEN = np.linspace(0.1, 0.85, 576).reshape(24, 24)
DRY = GREEN / 4


def write(area_files: Any, values: Any, dtype: str, day: str = "20230101") -> Path:
    path: Path = area_files.raster(f"ndvi/ndvi_{day}.tif", np.round(values).astype(dtype), nodata=None)
    return path.parent


def images(folder: Path, grid: Grid, **source: Any) -> tuple[list[Any], tuple[str, ...]]:
    bad = BadFiles("error")
    found = index_ndvi(folder, None, bad, source=NdviSource(folder="ndvi", **source))
    return [read_ndvi(image, grid, grid.full, bad) for image in found], bad.corrections()


@pytest.mark.parametrize(
    ("factor", "dtype", "told"),
    [
        (10000, "int16", "NDVI as int16 without a scale, 250..8500 in all, was taken as NDVI times 10000"),
        (10000, "int32", "as int32"), (10000, "uint16", "as uint16"),
        (200, "uint8", "NDVI as uint8 without a scale, 5..170 in all, was taken as NDVI times 200"),
        (250, "uint8", "6..212 in all, was taken as NDVI times 250"),
    ],
)  # fmt: skip
def test_whole_numbers_are_scaled_by_the_range_of_all_images(
    area_files: Any, small_grid: Grid, factor: float, dtype: str, told: str
) -> None:
    """The dry image alone would tell another scale, or none."""
    write(area_files, GREEN * factor, dtype)
    folder = write(area_files, DRY * factor, dtype, "20230801")
    (green, dry), lines = images(folder, small_grid)
    np.testing.assert_allclose(green, GREEN, atol=0.51 / factor)
    np.testing.assert_allclose(dry, DRY, atol=0.51 / factor)
    assert len(lines) == 1
    assert told in lines[0]
    assert "if that is wrong, state it: datamodule.ndvi=" in lines[0]
    assert "in 2 files" in lines[0]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (GREEN * 100, "uint8"),  # percent, or a desert times 200
        (DRY * 200, "uint8"), (GREEN * 1000, "int16"), (np.round(GREEN), "int16"), (np.round(GREEN), "uint8"),
        (GREEN * 20000 + 10000, "uint16"), (GREEN * 100 + 100, "uint8"),
        (np.random.default_rng(0).integers(-32768, 32767, (24, 24)), "int16"),
    ],
)  # fmt: skip
def test_a_range_that_tells_no_scale_is_refused(area_files: Any, small_grid: Grid, values: Any, dtype: str) -> None:
    with pytest.raises(DataError, match=r"NDVI as \w+ without a scale.*tells no scale; state it: datamodule\.ndvi="):
        images(write(area_files, values, dtype), small_grid)


def test_bytes_beside_longer_numbers_are_refused(area_files: Any, small_grid: Grid) -> None:
    write(area_files, GREEN * 200, "uint8")
    with pytest.raises(DataError, match="in bytes and in longer numbers"):
        images(write(area_files, GREEN * 10000, "int16", "20230801"), small_grid)


def test_a_scale_that_is_set_counts(area_files: Any, small_grid: Grid, caplog: pytest.LogCaptureFixture) -> None:
    """Copernicus: 0..250 is -0.08..0.92."""
    folder = write(area_files, (GREEN + 0.08) / 0.004, "uint8")
    with caplog.at_level(logging.WARNING):
        (found,), lines = images(folder, small_grid, scale=0.004, offset=-0.08)
    np.testing.assert_allclose(found, GREEN, atol=0.0021)
    assert lines == ()
    assert caplog.text == ""


def test_fills_and_flags_of_whole_numbers_are_missing(area_files: Any, small_grid: Grid) -> None:
    values = GREEN * 10000
    values[:2], values[2:4] = -32768, -3000  # the second is MODIS's, within the range of NDVI
    (found,), lines = images(write(area_files, values, "int16"), small_grid)
    assert np.isnan(found[:4]).all()
    np.testing.assert_allclose(found[4:], GREEN[4:], atol=1e-4)
    assert any("outside of -1..1 of scaled whole numbers was taken as missing" in line for line in lines)
    assert any("NDVI of exactly -0.3, a constant, was taken as missing" in line for line in lines)

    values = GREEN * 250
    values[:2] = 255
    (found,), lines = images(write(area_files, values, "uint8"), small_grid)
    assert np.isnan(found[:2]).all()
    assert "with flags above 250" in lines[0]


def test_an_offset_without_a_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="give scale, too"):
        NdviSource(folder="ndvi", offset=-0.08)
