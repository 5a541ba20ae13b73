from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.transform import Affine
from scipy.interpolate import RegularGridInterpolator
from tests.one_window import mosaic

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.checks.header import Layer
from mlssm.sources.faults import BadFiles, Limits
from mlssm.sources.folder import raster_files
from mlssm.sources.opening import inspect
from mlssm.sources.raster import PLAIN, read_onto

ERROR = BadFiles("error")
CORNER = (240000, 3816000)


def ramp(height: int = 24, width: int = 24) -> np.ndarray:
    return np.arange(height * width, dtype=np.float32).reshape(height, width)


def test_a_raster_on_the_grids_pixels_is_copied_bit_for_bit(area_files: Any, small_grid: Grid) -> None:
    values = np.random.default_rng(1).normal(size=(24, 24)).astype(np.float32)
    values[3, 4] = np.nan
    path = area_files.raster("a.tif", values)
    np.testing.assert_array_equal(read_onto(path, small_grid, small_grid.full, Resampling.bilinear), values)
    np.testing.assert_array_equal(
        read_onto(path, small_grid, Window(5, 6, 3, 2), Resampling.bilinear), values[5:8, 6:8]
    )


def test_a_window_past_the_raster_is_missing_there(area_files: Any, small_grid: Grid) -> None:
    path = area_files.raster("a.tif", ramp(), corner=(CORNER[0] + 300, CORNER[1] + 60))
    wider = Window(-3, -2, 30, 30)
    expected = np.full((30, 30), np.nan, np.float32)
    expected[1:25, 12:30] = ramp()[:, :18]
    np.testing.assert_array_equal(read_onto(path, small_grid, wider, Resampling.bilinear), expected)


def test_a_raster_elsewhere_is_missing_all_over(area_files: Any, small_grid: Grid) -> None:
    for name, place in {
        "near.tif": {"corner": (CORNER[0] + 24 * 30, CORNER[1])},
        "far.tif": {"crs": "EPSG:32755"},
        "pole.tif": {"crs": "EPSG:3031"},
        "britain.tif": {"crs": "EPSG:27700"},
        "degrees.tif": {"crs": "EPSG:4326", "corner": (20, 50), "pixel": 0.001},
    }.items():
        path = area_files.raster(name, ramp(), **place)
        assert np.isnan(read_onto(path, small_grid, small_grid.full, Resampling.bilinear)).all(), name


def test_another_zone_is_warped_bilinearly(area_files: Any, small_grid: Grid) -> None:
    # a smooth surface on zone 10, 40 km beyond its edge; scipy interpolates it at the grid's pixel centres
    to_zone_10 = Transformer.from_crs(32611, 32610, always_xy=True)
    x, y = small_grid.centres(small_grid.full)
    east, north = to_zone_10.transform(*np.meshgrid(x, y))
    west, top = np.floor(east.min()) - 95, np.ceil(north.max()) + 85
    cols, rows = west + 15 + 30 * np.arange(40), top - 15 - 30 * np.arange(40)
    rng = np.random.default_rng(2)
    surface = rng.normal(size=(40, 40)).astype(np.float32)
    path = area_files.raster("a.tif", surface, corner=(west, top), crs="EPSG:32610")
    expected = RegularGridInterpolator((-rows, cols), surface)(np.stack([-north, east], axis=-1))
    found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    # GDAL's transformer is approximate to an eighth of a pixel
    assert np.abs(found - expected).max() < 0.4
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.1
    nearest = read_onto(path, small_grid, small_grid.full, Resampling.nearest)
    assert set(np.unique(nearest)) <= set(np.unique(surface))


def test_a_finer_raster_is_averaged(area_files: Any, small_grid: Grid) -> None:
    fine = np.random.default_rng(3).normal(size=(72, 72)).astype(np.float32)
    path = area_files.raster("a.tif", fine, pixel=10)
    found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    np.testing.assert_allclose(found, fine.reshape(24, 3, 24, 3).mean(axis=(1, 3)), atol=1e-5)


def test_a_coarser_raster_is_interpolated_between_its_centres(area_files: Any, small_grid: Grid) -> None:
    # a plane comes back as the plane
    cols, rows = np.meshgrid(np.arange(12), np.arange(12))
    path = area_files.raster("a.tif", (3.0 * cols + 7.0 * rows).astype(np.float32), pixel=60)
    found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    inner = slice(2, -2)
    steps = (np.arange(24) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(found[inner, inner], (3 * steps + 7 * steps[:, None])[inner, inner], atol=1e-4)


@pytest.mark.parametrize(("pixel", "shift"), [(47, 11), (30, 11), (12, 3)])
def test_a_part_is_read_as_it_is_in_the_whole(area_files: Any, small_grid: Grid, pixel: float, shift: float) -> None:
    values = np.random.default_rng(8).normal(size=(80, 80)).astype(np.float32)
    path = area_files.raster("a.tif", values, pixel=pixel, corner=(CORNER[0] - shift, CORNER[1] + shift))
    whole = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    for window in (Window(5, 6, 7, 8), Window(0, 0, 1, 1), Window(20, 3, 4, 1)):
        part = read_onto(path, small_grid, window, Resampling.bilinear)
        np.testing.assert_allclose(part, whole[window.slices], atol=1e-5)


def test_classes_are_never_mixed(area_files: Any, small_grid: Grid) -> None:
    classes = np.random.default_rng(4).choice([1, 7, 40], (50, 50)).astype(np.uint8)
    path = area_files.raster("a.tif", classes, pixel=17, nodata=0)
    found = read_onto(path, small_grid, small_grid.full, Resampling.nearest)
    assert set(np.unique(found)) == {1, 7, 40}
    # the class under each pixel's centre
    x, y = small_grid.centres(small_grid.full)
    expected = classes[np.ix_(((CORNER[1] - y) // 17).astype(int), ((x - CORNER[0]) // 17).astype(int))]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("float32", -9999), ("int16", -9999), ("uint8", 255), ("float64", np.nan)]
)
@pytest.mark.parametrize("pixel", [30, 10, 70])
def test_what_is_declared_missing_never_leaks(
    area_files: Any, small_grid: Grid, dtype: str, nodata: float, pixel: float
) -> None:
    values = np.random.default_rng(5).uniform(10, 20, (75, 75)).astype(dtype)
    values[10:14, 3:30] = nodata
    values[np.random.default_rng(6).random(values.shape) < 0.1] = nodata
    path = area_files.raster("a.tif", values, nodata=nodata, pixel=pixel)
    found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    known = found[np.isfinite(found)]
    assert known.size > 200
    assert known.min() >= 10
    assert known.max() <= 20
    assert pixel == 10 or np.isnan(found).any()


@pytest.mark.parametrize("inside", [True, False])
def test_a_mask_counts_as_missing(area_files: Any, small_grid: Grid, inside: bool) -> None:
    path = area_files.raster("a.tif", ramp(), nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, "r+") as file:
        mask = np.full((24, 24), 255, np.uint8)
        mask[2, 3] = 0
        file.write_mask(mask)
    assert path.with_name("a.tif.msk").exists() != inside
    # as prepare opens files: without listing their folder
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"):
        found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 3]]


def test_scale_and_offset_of_the_band_are_applied(area_files: Any, small_grid: Grid) -> None:
    stored = np.full((24, 24), 4500, np.int16)
    stored[0, 0] = -3000
    path = area_files.raster("a.tif", stored, nodata=-3000)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,), (0.01,)
    found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    assert np.isnan(found[0, 0])
    np.testing.assert_allclose(found[1:], 0.46, atol=1e-6)


def test_values_are_converted_before_they_are_averaged(area_files: Any, small_grid: Grid) -> None:
    fine = np.tile(np.array([[0, 20]], np.float32), (48, 24))
    path = area_files.raster("a.tif", fine, pixel=15)
    layer = Layer(PLAIN.band, lambda path, values, band: 10 ** (values / 10))
    found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear, layer)
    np.testing.assert_allclose(found, (1 + 100) / 2, rtol=1e-6)


def test_a_header_is_read(area_files: Any) -> None:
    info = inspect(area_files.raster("a.tif", ramp(10, 20), crs="EPSG:32611"))
    assert info.crs == "EPSG:32611"
    assert info.bounds == (240000, 3816000 - 300, 240600, 3816000)
    assert info.pixel == 30
    assert info.bounds_in("EPSG:32611") == info.bounds
    west, _, east, _ = info.bounds_in("EPSG:4326")
    assert -119.9 < west < east < -119.8


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"crs": None}, "has no CRS"),
        ({"transform": Affine(30, 3, 0, 3, -30, 0)}, "is rotated"),
        ({"transform": None}, "has no transform"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # as the test writes the file
def test_a_raster_without_a_place_is_refused_by_name(
    area_files: Any, small_grid: Grid, profile: dict[str, Any], said: str
) -> None:
    path = area_files.raster("lost.tif", ramp(), **profile)
    for read in (inspect, lambda path: read_onto(path, small_grid, small_grid.full, Resampling.bilinear)):
        with pytest.raises(DataError, match=said) as error:
            read(path)
        assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(("down", "right"), [(1, 1), (1, -1), (-1, -1)])  # signs of the pixel's height and width
@pytest.mark.parametrize("zone", [32611, 32610])
def test_rows_and_columns_may_be_stored_from_any_side(
    area_files: Any, small_grid: Grid, down: int, right: int, zone: int
) -> None:
    values = np.random.default_rng(3).random((40, 30), np.float32)
    place = {"crs": f"EPSG:{zone}"}
    west, north = CORNER if zone == 32611 else (791100, 3817200)
    plain = area_files.raster("plain.tif", values, corner=(west, north), **place)
    turned = Affine(
        right * 30, 0, west + (30 * 30 if right < 0 else 0), 0, down * 30, north - (40 * 30 if down > 0 else 0)
    )
    path = area_files.raster("turned.tif", values[::-down, ::right], transform=turned, **place)
    assert inspect(path).bounds == inspect(plain).bounds
    part = Window(5, 7, 12, 9)  # not the middle
    read = [read_onto(each, small_grid, part, Resampling.bilinear) for each in (plain, path)]
    assert np.isfinite(read[0]).any()
    np.testing.assert_array_equal(read[1], read[0])


def test_a_stored_crs_can_be_overruled(area_files: Any, small_grid: Grid) -> None:
    for name, crs in (("none.tif", None), ("other.tif", "EPSG:32610")):
        path = area_files.raster(name, ramp(), crs=crs)
        found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear, Layer(PLAIN.band, crs="EPSG:32611"))
        np.testing.assert_array_equal(found, ramp())


def test_a_declared_missing_value_counts_beside_a_mask(area_files: Any, small_grid: Grid) -> None:
    values = ramp()
    values[0, :2] = -9999
    path = area_files.raster("masked.tif", values, nodata=-9999)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        mask = np.full((24, 24), 255, np.uint8)
        mask[5] = 0
        file.write_mask(mask)
    found = read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    assert np.isnan(found[0, :2]).all()
    assert np.isnan(found[5]).all()
    assert np.isfinite(found).sum() == 24 * 24 - 26


def test_an_overview_is_never_read(area_files: Any) -> None:
    values = np.random.default_rng(5).random((512, 512), np.float32)
    path = area_files.raster("cog.tif", values, driver="COG", blocksize=128, overviews="IGNORE_EXISTING")
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
    coarse = Grid("EPSG:32611", CORNER, 120, 128, 128)
    found = read_onto(path, coarse, coarse.full, Resampling.bilinear)
    np.testing.assert_allclose(found, values.reshape(128, 4, 128, 4).mean(axis=(1, 3)), rtol=1e-5)


@pytest.mark.parametrize("profile", [{}, {"compress": "deflate"}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_a_truncated_file_is_named(area_files: Any, truncate: Any, profile: dict[str, Any]) -> None:
    grid = Grid("EPSG:32611", CORNER, 30, 200, 200)
    values = np.random.default_rng(7).random((200, 200), np.float32)
    path = area_files.raster("half.tif", values, **profile)
    truncate(path)
    with pytest.raises(DataError, match="cannot be read") as error:
        read_onto(path, grid, grid.full, Resampling.bilinear)
    message = str(error.value)
    assert message.startswith(str(path))
    assert message.endswith("on_bad_file=skip")
    assert message.count("half.tif") == 1
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>"])
def test_what_is_no_raster_is_named(area_files: Any, content: bytes) -> None:
    path = area_files.raster("page.tif", ramp())
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"page\.tif cannot be read"):
        inspect(path)


def _readable(paths: list[Path], files: BadFiles) -> list[Path]:
    found = []
    for path in paths:
        with files.handled(path):
            found.append(inspect(path).path)
    return found


def test_skipped_files_are_logged_and_counted_once(area_files: Any, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = area_files.raster("good.tif", ramp()), area_files.raster("bad.tif", ramp())
    bad.write_text("text")
    files = BadFiles("skip")
    assert _readable([bad, good], files) == [good]
    assert _readable([bad, good], files) == [good]
    assert files.skipped == ["bad.tif"]
    own = [record.getMessage() for record in caplog.records if record.name.startswith("mlssm")]
    assert len([message for message in own if "bad.tif" in message]) == 1
    with pytest.raises(DataError, match=r"bad\.tif"):
        _readable([good, bad], ERROR)


def test_a_mosaic_takes_the_first_that_has_a_value(area_files: Any, small_grid: Grid) -> None:
    left, both = np.full((24, 24), np.nan, np.float32), np.full((24, 24), 2, np.float32)
    left[:, :12] = 1
    both[:, 20:] = np.nan
    paths = [area_files.raster("1.tif", left), area_files.raster("2.tif", both)]
    found = mosaic(paths, small_grid, small_grid.full, Resampling.nearest, ERROR)
    np.testing.assert_array_equal(found[0], [1] * 12 + [2] * 8 + [np.nan] * 4)


def test_tiles_side_by_side_leave_no_gap(area_files: Any, small_grid: Grid) -> None:
    cols, rows = np.meshgrid(np.arange(12.0), np.arange(12.0))
    plane = (100 + cols + rows).astype(np.float32)
    paths = [
        area_files.raster("w.tif", plane[:, :6], pixel=60),
        area_files.raster("e.tif", plane[:, 6:], pixel=60, corner=(CORNER[0] + 360, CORNER[1])),
    ]
    found = mosaic(paths, small_grid, small_grid.full, Resampling.bilinear, ERROR)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.diff(found[12])[2:-2], 0.5, atol=0.51)


def test_a_mosaic_leaves_out_a_bad_file(area_files: Any, small_grid: Grid, truncate: Any) -> None:
    paths = [area_files.raster("1.tif", ramp()), area_files.raster("2.tif", ramp() + 1)]
    truncate(paths[0])
    skip = BadFiles("skip")
    found = mosaic(paths, small_grid, small_grid.full, Resampling.bilinear, skip)
    np.testing.assert_array_equal(found, ramp() + 1)
    assert skip.skipped == ["1.tif"]
    limits = Limits("SSM", 0, 500, "divide it")
    layer = Layer(PLAIN.band, lambda path, values, band: limits.checked(path, values))
    with pytest.raises(DataError, match=r"2\.tif holds 576, but SSM lies in 0\.\.500; divide it"):
        mosaic(paths[1:], small_grid, small_grid.full, Resampling.bilinear, ERROR, layer)


def test_raster_files(area_files: Any) -> None:
    for name in ("b.tif", "a.TIF", "c.tiff"):
        area_files.raster(f"dem/{name}", ramp())
    (area_files.root / "dem" / "a.tif.aux.xml").write_text("<x/>")
    folder = area_files.root / "dem"
    assert [path.name for path in raster_files(folder, ERROR)] == ["a.TIF", "b.tif", "c.tiff"]
    assert raster_files(folder / "b.tif", ERROR) == [folder / "b.tif"]
    with pytest.raises(DataError, match=r"soil is missing.*datamodule\.root"):
        raster_files(area_files.root / "soil", ERROR)
    (area_files.root / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no GeoTIFF"):
        raster_files(area_files.root / "empty", ERROR)
