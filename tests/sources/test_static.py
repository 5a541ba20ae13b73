from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from tests.one_window import read_incidence, read_soil, read_terrain

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.faults import BadFiles
from mlssm.sources.opening import inspect
from mlssm.sources.terrain import slope_degrees

ERROR = BadFiles("error")
BURSTS = ("292319-IW2", "292320-IW2", "292322-IW2", "292324-IW2")


def _elevation(*arguments: Any) -> tuple[Any, Any]:
    found = read_terrain(*arguments)
    return found["elevation"], found["slope"]


@given(st.floats(-2, 2), st.floats(-2, 2), st.sampled_from([10.0, 30.0]))
def test_the_slope_of_a_plane_is_its_gradients(east: float, north: float, pixel: float) -> None:
    x, y = np.meshgrid(np.arange(8) * pixel, np.arange(7) * -pixel)
    slope = slope_degrees((500 + east * x + north * y).astype(np.float32), pixel)
    expected = np.degrees(np.arctan(np.hypot(east, north)))
    np.testing.assert_allclose(slope[1:-1, 1:-1], expected, atol=0.01)


def test_the_slope_of_a_rough_surface_is_horns() -> None:
    # Horn's kernel written out
    z = np.random.default_rng(0).normal(100, 20, (6, 6))
    a, b, c, d, f, g, h, i = (
        z[1 + r : 5 + r, 1 + q : 5 + q] for r in (-1, 0, 1) for q in (-1, 0, 1) if (r, q) != (0, 0)
    )
    x, y = ((c + 2 * f + i) - (a + 2 * d + g)) / 240, ((g + 2 * h + i) - (a + 2 * b + c)) / 240
    expected = np.degrees(np.arctan(np.hypot(x, y)))
    np.testing.assert_allclose(slope_degrees(z.astype(np.float32), 30)[1:-1, 1:-1], expected, atol=1e-3)


def test_slope_is_missing_where_a_neighbour_is(area_files: Any, small_grid: Grid) -> None:
    values = np.full((24, 24), 100, np.float32)
    values[10, 10] = -9999
    path = area_files.raster("dem.tif", values, nodata=-9999)
    elevation, slope = _elevation([path], small_grid, small_grid.full, ERROR)
    assert np.argwhere(np.isnan(elevation)).tolist() == [[10, 10]]
    assert np.isnan(slope[9:12, 9:12]).all()
    # the DEM ends with the grid, so the border has no neighbour
    assert np.isnan(slope).sum() == 9 + 24 * 4 - 4
    np.testing.assert_array_equal(slope[1:9, 1:-1], 0)


def test_the_slope_reaches_the_edge_of_an_area_in_a_wider_dem(area_files: Any, small_grid: Grid) -> None:
    x = np.arange(24) * 30.0
    path = area_files.raster("dem.tif", np.tile(0.5 * x, (24, 1)).astype(np.float32))
    extent = Window(4, 5, 6, 7)
    elevation, slope = _elevation([path], small_grid, extent, ERROR)
    np.testing.assert_allclose(elevation, np.tile(0.5 * x[5:12], (6, 1)))
    np.testing.assert_allclose(slope, np.degrees(np.arctan(0.5)), atol=1e-4)


def test_a_plane_in_degrees_keeps_its_slope_in_metres(area_files: Any, small_grid: Grid) -> None:
    # 10 % up to the grid's north, stored in EPSG:4326: in degrees of longitude and latitude it would be nonsense
    lon, lat = small_grid.geographic_centre()
    step = 0.0003
    lons, lats = lon - 0.02 + step * np.arange(134), lat + 0.02 - step * np.arange(134)
    _, north = Transformer.from_crs(4326, 32611, always_xy=True).transform(*np.meshgrid(lons, lats))
    corner = (lons[0] - step / 2, lats[0] + step / 2)
    plane = (0.1 * (north - north.min())).astype(np.float32)
    path = area_files.raster("dem.tif", plane, corner=corner, pixel=step, crs="EPSG:4326")
    elevation, slope = _elevation([path], small_grid, small_grid.full, ERROR)
    _, y = small_grid.centres(small_grid.full)
    np.testing.assert_allclose(elevation, np.repeat(0.1 * (y - north.min())[:, None], 24, axis=1), atol=0.5)
    assert np.median(slope) == pytest.approx(np.degrees(np.arctan(0.1)), abs=0.1)


def test_santa_barbara_lies_as_high_as_xarray_finds_it(shared: Path) -> None:
    dem = shared / "santa_barbara" / "dem" / "srtm3_n34w120.tif"
    with rasterio.open(dem) as file:
        t, values = file.transform, file.read(1, masked=True).astype(float).filled(np.nan)
        lat, lon = t.f + t.e * (np.arange(file.height) + 0.5), t.c + t.a * (np.arange(file.width) + 0.5)
    surface = xr.DataArray(values, {"lat": lat, "lon": lon}, ("lat", "lon"))
    images = [sorted((shared / "santa_barbara" / "sentinel1").glob(f"*{burst}*VV.tif"))[0] for burst in BURSTS]
    covered = []
    for image in images:
        info = inspect(image)
        grid = Grid.covering(info.crs, [info.bounds], info.pixel)
        elevation, slope = _elevation([dem], grid, grid.full, ERROR)
        x, y = grid.centres(grid.full)
        lons, lats = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform(*np.meshgrid(x, y))
        expected = surface.interp(lat=(("y", "x"), lats), lon=(("y", "x"), lons)).to_numpy()
        both = np.isfinite(expected) & np.isfinite(elevation)
        covered.append(float(both.mean()))
        if covered[-1] == 1:
            error = np.abs(elevation - expected)
            assert error.max() < 5  # metres; SRTM's own error is about 6
            assert np.sqrt((error**2).mean()) < 0.5
            assert 2 < np.nanmedian(slope) < 40
        else:
            assert np.isnan(elevation).all()
    assert covered == [1, 1, 1, 0]


@pytest.mark.parametrize("strange", [-9999.0, 32767.0])
def test_a_missing_value_that_is_not_declared_is_named(area_files: Any, small_grid: Grid, strange: float) -> None:
    values = np.full((60, 60), 100, np.float32)
    values[30, 30] = strange
    path = area_files.raster("dem.tif", values, nodata=None, pixel=12)
    with pytest.raises(DataError, match=r"dem\.tif holds -?\d+.*, but elevation lies in -500\.\.9000; declare"):
        read_terrain([path], small_grid, small_grid.full, ERROR)


def test_soil_takes_the_class_under_the_pixels_centre(area_files: Any, small_grid: Grid) -> None:
    classes = np.kron([[1, 9], [4, 0]], np.ones((10, 10))).astype(np.uint8)
    path = area_files.raster("soil.tif", classes, pixel=36, nodata=0)
    found = read_soil([path], small_grid, small_grid.full, ERROR)
    expected = np.full((24, 24), np.nan)
    expected[:12, :12], expected[:12, 12:], expected[12:, :12] = 1, 9, 4
    np.testing.assert_array_equal(found, expected)


def test_incidence_in_radians_past_90_degrees_or_undeclared_is_named(area_files: Any, small_grid: Grid) -> None:
    good = area_files.raster("a.tif", np.full((24, 24), 38.5, np.float32))
    np.testing.assert_array_equal(read_incidence([good], small_grid, small_grid.full, ERROR), np.float32(38.5))
    bad = area_files.raster("b.tif", np.full((24, 24), -9999, np.float32), nodata=None)
    with pytest.raises(DataError, match=r"b\.tif holds -9999, but the incidence angle lies in 0\.\.90"):
        read_incidence([bad], small_grid, small_grid.full, ERROR)
