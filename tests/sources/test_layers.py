import datetime as dt
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from tests.one_window import read_layer
from torchgeo.datasets import RasterDataset

from mlssm.config import LayerSource, parse_layer
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid
from mlssm.sources.faults import BadFiles
from mlssm.sources.layers import LayerFiles, index_layers, layer_paths

CODES = np.kron([[11, 41], [42, 90]], np.ones((12, 12), np.uint8)).astype(np.uint8)
NLCD = {"_target_": "torchgeo.datasets.NLCD", "paths": "nlcd", "kind": "classes", "years": [2021]}
HERE = __name__


class Difference(RasterDataset):
    """A user's own class that computes its samples: (b - a) / (a + b) of two bands."""

    filename_glob = "two_*.tif"
    filename_regex = r"two_(?P<date>\d{8})\.tif"
    all_bands = ("a", "b")

    def __getitem__(self, query: Any) -> dict[str, Any]:
        """The sample."""
        sample = super().__getitem__(query)
        a, b = sample["image"]
        return {**sample, "image": ((b - a) / (a + b))[None]}


class NoRasters:
    """No dataset."""


def source(**values: Any) -> LayerSource:
    return parse_layer("layers.it", values)


def index(area_files: Any, bad: BadFiles | None = None, **values: Any) -> LayerFiles:
    (found,) = index_layers(area_files.root, {"it": source(**values)}, bad or BadFiles("error"))
    return found


def read(layer: LayerFiles, grid: Grid, image: int = 0, bad: BadFiles | None = None) -> Any:
    return read_layer(layer, layer.images[image], grid, grid.full, bad or BadFiles("error"))


def nlcd(area_files: Any, year: int = 2021, codes: Any = CODES, **place: Any) -> Any:
    return area_files.raster(f"nlcd/Annual_NLCD_LndCov_{year}_CU_C1V1.tif", codes, nodata=250, **place)


def test_land_cover_by_torchgeos_class_keeps_the_files_codes_and_its_gaps(area_files: Any, small_grid: Grid) -> None:
    codes = CODES.copy()
    codes[0] = 250
    nlcd(area_files, codes=codes)
    layer = index(area_files, **NLCD)
    assert [image.day for image in layer.images] == [dt.date.min]
    np.testing.assert_array_equal(read(layer, small_grid), np.where(codes == 250, np.nan, codes))


def test_classes_in_another_crs_are_the_nearest_and_never_blended(area_files: Any, small_grid: Grid) -> None:
    x, y = Transformer.from_crs("EPSG:32611", "EPSG:5070", always_xy=True).transform(240000, 3816000)
    codes = np.random.default_rng(0).choice([11, 41, 90], (80, 80)).astype(np.uint8)
    nlcd(area_files, codes=codes, crs="EPSG:5070", corner=(x - 600, y + 600))
    found = read(index(area_files, **NLCD), small_grid)
    assert set(np.unique(found)) == {11, 41, 90}


def test_several_years_are_no_layer_of_no_date(area_files: Any, small_grid: Grid) -> None:
    nlcd(area_files, 2021)
    nlcd(area_files, 2022, CODES + 1)
    both = {**NLCD, "years": [2021, 2022]}
    with pytest.raises(DataError, match=r"its files are of 2 \(2021-01-01 to 2022-12-31\); choose one .* years"):
        index(area_files, **both)
    # torchgeo indexes all years that are there, whatever `years` says
    np.testing.assert_array_equal(read(index(area_files, **NLCD), small_grid), CODES)


def test_elevation_by_torchgeos_class_is_as_by_our_own_reader(area_files: Any, small_grid: Grid) -> None:
    west, north = Transformer.from_crs("EPSG:32611", "EPSG:4326", always_xy=True).transform(239900, 3815900)
    heights = np.random.default_rng(0).random((60, 60)).astype(np.float32) * 100
    place = {"crs": "EPSG:4326", "corner": (west, north), "pixel": 0.0003, "nodata": None}
    area_files.raster("aster/ASTGTMV003_N34W120_dem.tif", heights, **place)
    area_files.raster("aster/ASTGTMV003_N34W120_num.tif", heights, **place)
    bad = BadFiles("error")
    theirs = index(area_files, bad, _target_="torchgeo.datasets.AsterGDEM", paths="aster", kind="continuous")
    plain = index(area_files, paths="aster/ASTGTMV003_N34W120_dem.tif", kind="continuous")
    found = read(theirs, small_grid)
    assert np.isfinite(found).any()
    np.testing.assert_array_equal(found, read(plain, small_grid))


def sentinel(area_files: Any, day: str, band: str, value: float) -> None:
    name = f"s2/T11SKU_{day}T184401_{band}_10m.tif"
    area_files.raster(name, np.full((72, 72), value, np.uint16), pixel=10, nodata=0)


S2 = {"_target_": "torchgeo.datasets.Sentinel2", "paths": "s2", "kind": "dated", "band": "B04", "scale": 1e-4}


def test_a_band_of_sentinel_2_by_its_days(area_files: Any, small_grid: Grid) -> None:
    for day, value in (("20230111", 3000), ("20230101", 1000)):
        sentinel(area_files, day, "B04", value)
        sentinel(area_files, day, "B08", 9000)
    layer = index(area_files, **S2)
    assert [image.day for image in layer.images] == [dt.date(2023, 1, 1), dt.date(2023, 1, 11)]
    np.testing.assert_allclose(read(layer, small_grid, 1), 0.3)
    with pytest.raises(ConfigError, match="band is not set, and Sentinel2 has B01, B02"):
        index(area_files, **{**S2, "band": None})
    with pytest.raises(ConfigError, match="band=B99 is none of B01"):
        index(area_files, **{**S2, "band": "B99"})


@pytest.mark.filterwarnings("ignore:Use .@. matmul:PendingDeprecationWarning")
def test_a_class_of_the_users_own_that_computes_is_asked_for_its_samples(area_files: Any, small_grid: Grid) -> None:
    first = np.full((24, 24), 1, np.float32)
    first[2] = np.nan
    for day, value in (("20230101", 3.0), ("20230111", 4.0)):
        path = area_files.raster(f"own/two_{day}.tif", first, count=2)
        with rasterio.open(path, "r+") as file:
            file.write(np.full((24, 24), value, np.float32), 2)
    layer = index(area_files, _target_=f"{HERE}.Difference", paths="own", kind="dated", band=1)
    for image, value in enumerate((0.5, 0.6)):
        found = read(layer, small_grid, image)
        assert np.isnan(found[2]).all()
        np.testing.assert_allclose(found[3:], value)


def test_a_file_that_torchgeo_would_leave_out_silently_is_named(area_files: Any, truncate: Any) -> None:
    sentinel(area_files, "20230101", "B04", 1000)
    sentinel(area_files, "20230111", "B04", 1000)
    path = area_files.root / "s2/T11SKU_20230111T184401_B04_10m.tif"
    path.write_bytes(b"no raster")
    with pytest.raises(DataError, match=r"20230111T184401_B04_10m\.tif cannot be opened, and torchgeo would leave it"):
        index(area_files, **S2)
    bad = BadFiles("skip")
    assert len(index(area_files, bad, **S2).images) == 1
    assert bad.skipped == [path.name]


def test_rasters_that_are_none_of_the_class_are_said(area_files: Any, caplog: pytest.LogCaptureFixture) -> None:
    nlcd(area_files)
    area_files.raster("nlcd/other.tif", CODES, nodata=None)
    index(area_files, **NLCD)
    assert "1 rasters (first: " in caplog.text
    assert "other.tif) are none of NLCD by their names: not used" in caplog.text


def test_a_file_that_refers_to_others_is_refused(area_files: Any) -> None:
    nlcd(area_files)
    (area_files.root / "nlcd/more.vrt").write_text("<VRTDataset rasterXSize='1'/>", encoding="utf-8")
    with pytest.raises(DataError, match=r"more\.vrt refers to other files or hosts"):
        index(area_files, **NLCD)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"_target_": "torchgeo.datasets.NoSuch"}, ConfigError, "cannot be imported"),
        ({"_target_": "nosuchpackage.Own"}, ConfigError, "cannot be imported"),
        ({"_target_": f"{HERE}.NoRasters"}, ConfigError, "no subclass of torchgeo's RasterDataset"),
        ({"_target_": "torchgeo.datasets.EuroSAT"}, ConfigError, "no subclass of torchgeo's RasterDataset"),
        ({"colour": "red"}, ConfigError, "layers.it.colour is no argument of NLCD; known are self, paths"),
        ({"years": [1066]}, DataError, "NLCD refuses .*only exists for the following years"),
        ({"years": [2020]}, DataError, "layer it has no file of 2020; give other years"),
        ({"paths": "nowhere"}, DataError, r"layers\.it\.paths: .*nowhere is not there"),
    ],
)
def test_what_is_no_layer_is_told(area_files: Any, changes: Any, error: Any, message: str) -> None:
    nlcd(area_files)
    with pytest.raises(error, match=message):
        index(area_files, **{**NLCD, **changes})


def test_classes_are_no_continuous_values(area_files: Any, small_grid: Grid) -> None:
    path = nlcd(area_files)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {11: (0, 0, 255, 255), 41: (0, 128, 0, 255)})
    for kind in ("continuous", "dated"):
        layer = index(area_files, **{**NLCD, "kind": kind})
        with pytest.raises(DataError, match="has a colour table: it holds classes or a picture, not layer it"):
            read(layer, small_grid)


CLAY = {"paths": "clay.tif", "kind": "continuous", "scale": 0.1, "unit": "%", "low": 0, "high": 100}


def test_a_measured_property_is_scaled_averaged_and_checked(area_files: Any, small_grid: Grid) -> None:
    """SoilGrids: clay in g/kg as int16, -32768 missing."""
    stored = np.kron(np.arange(24 * 24).reshape(24, 24) % 500, np.ones((3, 3))).astype(np.int16)
    stored[:3, :3] = -32768
    area_files.raster("clay.tif", stored, pixel=10, nodata=-32768)
    found = read(index(area_files, **CLAY), small_grid)
    expected = (np.arange(24 * 24).reshape(24, 24) % 500) / 10
    assert np.isnan(found[0, 0])
    np.testing.assert_allclose(found.ravel()[1:], expected.ravel()[1:], rtol=1e-5, atol=1e-5)

    area_files.raster("clay.tif", stored, pixel=10, nodata=None)
    with pytest.raises(DataError, match=r"holds -3276\.8, but layer it lies in 0\.\.100; set .*layers\.it\.missing"):
        read(index(area_files, **CLAY), small_grid)
    again = read(index(area_files, **CLAY, missing=[-32768]), small_grid)
    np.testing.assert_array_equal(again, found)
    with pytest.raises(DataError, match=r"lies in 0\.\.100"):
        read(index(area_files, **{**CLAY, "missing": [-32768], "scale": 10}), small_grid)


def test_infinite_values_are_told(area_files: Any, small_grid: Grid) -> None:
    values = np.ones((24, 24), np.float32)
    values[3, 3] = -np.inf  # log10 of 0, as of a ksat
    area_files.raster("ksat.tif", values)
    with pytest.raises(DataError, match=r"ksat\.tif holds (-inf|infinite)"):
        read(index(area_files, paths="ksat.tif", kind="continuous"), small_grid)


def test_plain_images_by_their_days_and_several_paths(area_files: Any, small_grid: Grid) -> None:
    for day, value in (("2023001", 1.0), ("20230111", 2.0)):
        area_files.raster(f"lai/lai_{day}.tif", np.full((24, 24), value, np.float32))
    layer = index(area_files, paths="lai", kind="dated", max_gap_days=30)
    assert [image.day for image in layer.images] == [dt.date(2023, 1, 1), dt.date(2023, 1, 11)]
    assert (read(layer, small_grid, 1) == 2).all()
    two = index(area_files, paths=["lai/lai_20230111.tif", "lai/lai_2023001.tif"], kind="dated")
    assert [image.day for image in two.images] == [image.day for image in layer.images]
    files = layer_paths(area_files.root, {"it": two.source}, BadFiles("error"))
    assert sorted(path.name for path in files) == ["lai_2023001.tif", "lai_20230111.tif"]


def test_a_band_by_number_or_description(area_files: Any, small_grid: Grid) -> None:
    path = area_files.raster("two.tif", np.zeros((24, 24), np.float32), count=2)
    with rasterio.open(path, "r+") as file:
        file.write(np.ones((24, 24), np.float32), 2)
        file.set_band_description(2, "theta_s")
    for band in (2, "theta_s"):
        assert (read(index(area_files, paths="two.tif", kind="continuous", band=band), small_grid) == 1).all()
    with pytest.raises(DataError, match=r"two\.tif has 2 bands"):
        read(index(area_files, paths="two.tif", kind="continuous"), small_grid)
    with pytest.raises(DataError, match=r"two\.tif has 2 bands, and band 3 is to be layer it"):
        read(index(area_files, paths="two.tif", kind="continuous", band=3), small_grid)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "classes", "years": [2021]}, "unknown key 'years'; only a class"),
        ({"kind": "classes", "_target_": "torchgeo.datasets.NLCD", "download": True}, "never downloaded"),
        ({"kind": "classes", "_target_": "NLCD"}, "is no class"),
        ({"kind": "continuous", "classes": {1: "a"}}, "classes and table are of kind=classes"),
        ({"kind": "continuous", "max_gap_days": 3}, "are of kind=dated"),
        ({"kind": "continuous", "scale": 0}, "scale=0"),
        ({"kind": "speckled"}, "layers.it.kind: Input should be 'continuous', 'classes' or 'dated'"),
        ({"kind": "classes", "classes": {1: "a"}, "table": {"file": "a.csv"}}, "give one of them"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        source(paths="x", **values)


def test_extents_without_such_a_layer_do_without_torchgeo() -> None:
    """Its import takes seconds."""
    code = (
        "import sys, mlssm.prepare.area; print(sorted({'torchgeo', 'torch', 'geopandas', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
