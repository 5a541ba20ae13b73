from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from tests.one_window import read_terrain

from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.sources.checks.terrain import check_stations, elevation_files
from mlssm.sources.faults import BadFiles
from mlssm.sources.terrain import elevation_at

ERROR = BadFiles("error")
HILLS = np.add.outer(np.arange(24.0), np.arange(24.0)) * 4 + 100  # slopes of 10 degrees


@pytest.fixture
def read(small_grid: Grid) -> Callable[..., Any]:
    return lambda *paths, bad=ERROR: tuple(read_terrain(paths, small_grid, small_grid.full, bad).values())


def dem(area_files: Any, values: Any, dtype: str = "float32", name: str = "dem/dem.tif", **profile: Any) -> Path:
    path: Path = area_files.raster(name, np.asarray(values).astype(dtype), **{"nodata": None} | profile)
    return path


@pytest.mark.parametrize("void", [-32768, -9999, 32767])
@pytest.mark.parametrize("declared", [None, -1.0])
def test_voids_that_are_not_declared_are_refused(area_files: Any, read: Any, void: int, declared: float | None) -> None:
    values = HILLS.copy()
    values[:4] = void
    with pytest.raises(DataError, match=rf"dem\.tif holds {void}.*declare its nodata"):
        read(dem(area_files, values, "int16", nodata=declared))


def test_zeros_inland_are_holes_and_at_a_shore_the_sea(area_files: Any, read: Any) -> None:
    holes, shore = HILLS.copy(), np.clip(np.tile(np.arange(24.0) * 3 - 20, (24, 1)), 0, None)
    holes[8:11, 8:11] = 0
    with pytest.raises(DataError, match=r"holds 0 beside 1\d\d.*holes, and no sea; declare 0"):
        read(dem(area_files, holes))
    elevation, _ = read(dem(area_files, shore))
    assert (elevation == 0).sum() == (shore == 0).sum()


@pytest.mark.parametrize(("void", "said"), [(-99, "-99 beside 1"), (-1, "-1 beside 1"), (8888, "8888 beside 1")])
def test_holes_of_a_value_that_could_be_land_are_refused(area_files: Any, read: Any, void: int, said: str) -> None:
    holes = HILLS.copy()
    holes[8:11, 8:11] = void
    with pytest.raises(DataError, match=rf"holds {said}\d\d: holes, and no land; declare {void}"):
        read(dem(area_files, holes))
    lake = HILLS.copy()
    lake[lake < np.quantile(lake, 0.2)] = np.quantile(lake, 0.2)  # the lowest land lies under water
    assert np.isfinite(read(dem(area_files, lake))[0]).all()


@pytest.mark.parametrize(
    ("values", "dtype", "said"),
    [
        (HILLS * 10, "int32", "steeper than 6"),  # decimetres
        (HILLS * 100, "int32", "elevation lies in"),  # centimetres
        (HILLS / 2, "uint8", "a picture, a hillshade"),
        (HILLS * 1j, "complex64", "complex"),
    ],
)
def test_what_is_no_elevation_in_metres_is_refused(
    area_files: Any, read: Any, values: Any, dtype: str, said: str
) -> None:
    with pytest.raises(DataError, match=said) as error:
        read(dem(area_files, values, dtype))
    assert "dem.tif" in str(error.value)


@pytest.mark.parametrize("unit", ["ft", "feet", "US survey foot", "us-ft", "cm", "dm", "decimetre", "km", "degrees"])
def test_a_unit_that_the_file_states_counts(area_files: Any, read: Any, unit: str) -> None:
    path = dem(area_files, HILLS)
    with rasterio.open(path, "r+") as file:
        file.units = (unit,)
    with pytest.raises(DataError, match=rf"gives elevation in '{unit}'"):
        read(path)


@pytest.mark.parametrize("unit", ["m", "metre", "meters", "metres above the geoid", ""])
def test_metres_are_taken_however_they_are_written(area_files: Any, read: Any, unit: str) -> None:
    path = dem(area_files, HILLS)
    with rasterio.open(path, "r+") as file:
        file.units = (unit,)
    np.testing.assert_array_equal(read(path)[0], HILLS.astype(np.float32))


def test_a_vertical_datum_in_feet_counts(area_files: Any, read: Any) -> None:
    with pytest.raises(DataError, match="in 'US survey foot'; convert it to metres"):
        read(dem(area_files, HILLS, crs="EPSG:32611+6360"))
    read(dem(area_files, HILLS, crs="EPSG:32611+5703"))  # NAVD88 height, metres


@pytest.mark.parametrize("factor", [3.2808, 10, 100, 0.001])
def test_stations_tell_another_unit(factor: float) -> None:
    heights = np.array([10.0, 200.0, 310.0, np.nan])
    measured = heights * factor * np.array([1, 1.03, 0.98, 1])
    with pytest.raises(DataError, match=r"dem\.tif has .* where a weather station states 200 m: it is in \w+; convert"):
        check_stations(Path("dem.tif"), measured, heights)
    warning = check_stations(Path("dem.tif"), measured[1:2], heights[1:2])
    assert warning is not None
    assert "Only one station can tell" in warning


def test_stations_tell_what_is_no_elevation_and_allow_what_is() -> None:
    heights = np.array([200.0, 310.0])
    with pytest.raises(DataError, match="it holds no elevation"):
        check_stations(Path("slope.tif"), np.array([17.0, 22.0]), heights)
    near: list[npt.NDArray[np.float64]] = [heights + 40, heights * 1.3, np.array([np.nan, 30.0])]
    assert [check_stations(Path("dem.tif"), values, heights) for values in near] == [None] * 3


def test_elevation_at_points_is_that_of_the_tile_below(area_files: Any, small_grid: Grid) -> None:
    west = dem(area_files, HILLS, name="dem/w.tif")
    east = dem(area_files, HILLS + 1000, name="dem/e.tif", corner=(240720, 3816000))
    far = dem(area_files, HILLS, name="dem/pole.tif", crs="EPSG:3031")
    x, y = np.array([240045.0, 240765.0, 250000.0]), np.array([3815925.0] * 3)
    found = elevation_at([far, west, east], small_grid, x, y, ERROR)
    np.testing.assert_allclose(found, [HILLS[2, 1], HILLS[2, 1] + 1000, np.nan])


@pytest.mark.parametrize(
    "name",
    [
        "slope.tif", "dem_slope.tif", "aspect.TIF", "hillshade.tiff", "area-hillshade-45.tif", "water mask.tif",
        "Copernicus_DSM_COG_10_N34_00_W120_00_WBM.tif", "Copernicus_DSM_COG_10_N34_00_W120_00_EDM.tif",
        "ASTGTMV003_N34W120_num.tif", "ALPSMLC30_N034W120_MSK.tif", "tri.tif", "dem.roughness.tif",
    ],
)  # fmt: skip
def test_what_is_made_from_a_dem_is_left_out_with_a_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    bad = BadFiles("error")
    found = elevation_files([Path("dem/Copernicus_DSM_COG_10_N34_00_W120_00_DEM.tif"), Path("dem") / name], bad)
    assert [path.name for path in found] == ["Copernicus_DSM_COG_10_N34_00_W120_00_DEM.tif"]
    assert any(name in message and "not used" in message for message in caplog.messages)


def test_names_of_elevation_stay(caplog: pytest.LogCaptureFixture) -> None:
    names = [
        "dem.tif",
        "srtm3_n34w120.tif",
        "USGS_13_n35w120.tif",
        "masked_dem.tif",
        "slopestyle.tif",
        "AP_1234.dem.tif",
    ]
    paths = [Path(name) for name in names]
    assert elevation_files(paths, BadFiles("error")) == paths
    assert not caplog.messages
    assert elevation_files([Path("slope.tif")], BadFiles("error")) == [Path("slope.tif")]
    assert "holds no elevation by its name" in caplog.messages[0]


def test_two_surfaces_in_one_folder_are_refused_whatever_their_names(area_files: Any, read: Any) -> None:
    paths = dem(area_files, HILLS * 0 + 180, name="dem/a.tif"), dem(area_files, HILLS, name="dem/b.tif")
    with pytest.raises(DataError, match=r"b\.tif has 192 where a\.tif in the same folder has 180"):
        read(*paths)
    # low land: a slope in degrees lies near its heights, but does not follow them
    low = np.random.default_rng(0).uniform(0, 12, (24, 24))
    slope = np.random.default_rng(1).uniform(0, 12, (24, 24))
    with pytest.raises(DataError, match="in the same folder"):
        read(dem(area_files, low, name="dem/a.tif"), dem(area_files, slope, name="dem/b.tif"))


def test_tiles_that_overlap_and_agree_are_one_surface(area_files: Any, read: Any) -> None:
    rough = HILLS + np.random.default_rng(0).normal(0, 5, (24, 24))  # another sensor
    bad = BadFiles("error")
    elevation, _ = read(dem(area_files, HILLS, name="dem/a.tif"), dem(area_files, rough, name="dem/b.tif"), bad=bad)
    np.testing.assert_array_equal(elevation, HILLS.astype(np.float32))
    assert bad.corrections() == (
        "where it overlaps others of its folder, theirs were used: they come first by their names: "
        "in 1 files (first: b.tif)",
    )
    edge = BadFiles("error")
    west, east = (
        dem(area_files, HILLS[:, :13], name="dem/a.tif"),
        dem(area_files, HILLS[:, 12:], name="dem/b.tif", corner=(240360, 3816000)),
    )
    np.testing.assert_array_equal(read(west, east, bad=edge)[0], HILLS.astype(np.float32))
    assert not edge.corrected
