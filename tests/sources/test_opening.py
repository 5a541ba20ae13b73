"""A GeoTIFF is opened by its own driver, and its header must be possible."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.transform import Affine

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources.opening import MAX_PIXELS, inspect
from mlssm.sources.raster import read_onto

ONES = np.ones((24, 24), np.float32)


@pytest.fixture
def visited() -> Iterator[tuple[str, list[str]]]:
    """A web server's address, and what was asked of it."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def virtual(address: str, band: str = "Float32") -> str:
    mask = '<Metadata><MDI key="INTERNAL_MASK_FLAGS_1">2</MDI></Metadata>' if band == "Byte" else ""
    return (
        f'<VRTDataset rasterXSize="24" rasterYSize="24"><SRS>EPSG:32611</SRS>{mask}'
        "<GeoTransform>240000,30,0,3816000,0,-30</GeoTransform>"
        f'<VRTRasterBand dataType="{band}" band="1"><SimpleSource><SourceFilename relativeToVRT="0">'
        f"/vsicurl/{address}/x.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


@pytest.mark.parametrize("name", ["dem.tif", "dem.tif.msk", "dem.tif.ovr", "dem.tif.MSK"])
def test_no_file_leads_to_another_host(
    area_files: Any, small_grid: Grid, visited: tuple[str, list[str]], name: str
) -> None:
    address, paths = visited
    path = area_files.raster("dem.tif", ONES, nodata=None)
    path.with_name(name).write_text(virtual(address, "Byte" if "." in name[4:] else "Float32"))
    with pytest.raises(DataError, match=name):
        read_onto(path, small_grid, small_grid.full, Resampling.bilinear)
    assert paths == []
    # GDAL alone would have gone there
    if name == "dem.tif":
        with pytest.raises(rasterio.errors.RasterioError), rasterio.open(path) as file:
            file.read(1)
        assert paths


def huge(path: Path, size: int, pixel: float) -> Path:
    """A raster of many pixels in few bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": "EPSG:32611", "transform": Affine(pixel, 0, 240000, 0, -pixel, 3816000)}
    shape = {"width": size, "height": size, "count": 1, "dtype": "float32"}
    tiles = {"tiled": True, "blockxsize": 8192, "blockysize": 8192, "sparse_ok": True, "BIGTIFF": "YES"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **tiles):
        return path


def test_a_raster_that_memory_does_not_hold_is_refused_before_it_is_read(area_files: Any, small_grid: Grid) -> None:
    path = huge(area_files.root / "dem.tif", 100_000, 0.06)
    assert path.stat().st_size < 1_000_000
    whole = Grid("EPSG:32611", (240000, 3816000), 30, 200, 200)
    with pytest.raises(DataError, match=r"dem\.tif: 100000 x 100000 pixels are more than 5e\+08.*gdalwarp -tr"):
        read_onto(path, whole, whole.full, Resampling.bilinear)
    # a part that memory holds is fine
    assert read_onto(path, small_grid, Window(0, 0, 2, 2), Resampling.bilinear).shape == (2, 2)
    assert MAX_PIXELS > 26_000 * 17_000  # a whole Sentinel-1 scene at 10 m


def test_a_block_that_memory_does_not_hold_is_refused(area_files: Any) -> None:
    path = area_files.root / "strip.tif"
    path.parent.mkdir(parents=True)
    place = {"crs": "EPSG:32611", "transform": Affine(0.1, 0, 240000, 0, -0.1, 3816000)}
    shape = {"width": 40_000, "height": 40_000, "count": 1, "dtype": "uint8"}
    shape |= {"tiled": True, "blockxsize": 32_000, "blockysize": 32_000}
    with rasterio.open(path, "w", driver="GTiff", sparse_ok=True, **shape, **place):
        pass
    with pytest.raises(DataError, match=r"strip\.tif: 32000 x 32000 pixels .*TILED=YES"):
        inspect(path)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"crs": "EPSG:4326", "corner": (34.4, -119.7), "pixel": 0.0003}, "longitude and latitude swapped"),
        ({"crs": "EPSG:4326"}, "in degrees by its CRS.*metres"),
        ({"corner": (-119.7, 34.4), "pixel": 0.0003}, "projected by its CRS.*degrees?"),
        ({"corner": (4e8, 3816000)}, "projected by its CRS"),
    ],
)
def test_a_place_that_its_crs_does_not_have_is_refused(area_files: Any, place: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        inspect(area_files.raster("a.tif", ONES, **place))
    assert "gdal_edit.py -a_srs" in str(error.value)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # as the test writes the file
def test_a_scene_that_is_not_terrain_corrected_is_named_as_such(area_files: Any) -> None:
    path = area_files.raster("grd.tif", ONES, crs=None, transform=None)
    with rasterio.open(path, "r+") as file:
        corners = [(0, 0, -120, 35), (0, 24, -119, 35), (24, 0, -120, 34), (24, 24, -119, 34)]
        file.gcps = [GroundControlPoint(row, col, x, y) for row, col, x, y in corners], "EPSG:4326"
    with pytest.raises(DataError, match=r"grd\.tif is placed by ground control points, not terrain-corrected"):
        inspect(path)


@pytest.mark.parametrize("scale", [0.0, np.nan, np.inf])
def test_a_scale_that_is_none_is_refused(area_files: Any, scale: float) -> None:
    path = area_files.raster("a.tif", ONES)
    with rasterio.open(path, "r+") as file:
        file.scales = (scale,)
    with pytest.raises(DataError, match=rf"a\.tif has the scale {scale:g} and offset 0; correct its tags"):
        inspect(path)


def test_a_file_that_may_not_be_read_is_named(area_files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = area_files.raster("a.tif", ONES)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(rasterio, "open", refuse)
    with pytest.raises(DataError, match=r"a\.tif cannot be read \(.*Permission denied\); .*on_bad_file=skip"):
        inspect(path)
