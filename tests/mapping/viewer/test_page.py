import base64
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyproj import Transformer

from mlssm.errors import DataError
from mlssm.mapping.geotiff import write_cog
from mlssm.mapping.list import DayMap, list_maps
from mlssm.mapping.viewer.content import NODATA, STEP, Content, Frame, Pictures
from mlssm.mapping.viewer.page import PARTS, compressed, render, write_page
from mlssm.mapping.viewer.reading import pictures_of
from mlssm.mapping.viewer.warp import packed
from mlssm.workers import Workers

from ..conftest import DAYS, EXTENTS, GRID, values


def decoded(text: str, shape: tuple[int, int]) -> np.ndarray:
    less = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(shape)
    return np.asarray(np.cumsum(less.astype(int), axis=1) % 256)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_picture_comes_back_as_it_was(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(compressed(picture), picture.shape), picture)


@given(arrays(np.float32, 20, elements=st.floats(0, 1, width=32)))
def test_a_byte_is_within_half_a_step(shares: np.ndarray) -> None:
    assert np.abs(packed(shares) * STEP - shares).max() <= STEP / 2 + 1e-6


def test_nothing_is_told_of_what_is_missing() -> None:
    np.testing.assert_array_equal(packed(np.array([np.nan, 0, 1, 7], np.float32)), [NODATA, 0, 200, 254])


def at(content: Content, frame: Frame, number: int, day: int, easting: float, northing: float) -> float:
    x, y = Transformer.from_crs(GRID.crs, "EPSG:3857", always_xy=True).transform(easting, northing)
    west, south, east, north = frame.bounds
    height, width = frame.shape
    row, col = int((north - y) / (north - south) * height), int((x - west) / (east - west) * width)
    return float(content.bands[0].values[number][day, row, col])


@pytest.mark.parametrize("number", [0, 1])
def test_a_pixel_lies_where_it_lies_in_the_map(content: Content, number: int) -> None:
    extent, frame = EXTENTS[number], content.frames[number]
    x, y = GRID.centres(extent)
    for day in range(len(DAYS)):
        expected = values(extent, day)
        for row, col in ((30, 40), (12, 5), (45, 60)):
            # a neighbouring pixel may be the nearest: the moisture changes by half a step or so from one to the next
            assert at(content, frame, number, day, x[col], y[row]) * STEP == pytest.approx(
                expected[row, col], abs=0.015
            )
        assert at(content, frame, number, day, x[4], y[4]) == NODATA


def test_corners_are_in_degrees(content: Content) -> None:
    south, west, north, east = content.frames[0].corners
    longitude, latitude = GRID.geographic(*(np.array([value]) for value in (231200.0, 3819100.0)))
    assert west < longitude[0] < east
    assert south < latitude[0] < north


def test_bands_without_use_for_a_reader_are_left_out(content: Content) -> None:
    assert [band.key for band in content.bands] == ["ssm", "lower", "upper"]
    assert content.bands[0].label == "soil moisture"
    assert content.bands[0].days == DAYS


def size(bands: Sequence[Pictures]) -> int:
    return sum(len(compressed(picture)) for band in bands for stack in band.values for picture in stack)


def test_big_maps_become_coarser(maps: list[DayMap]) -> None:
    fine, _ = pictures_of(maps, GRID, EXTENTS, Workers(1))
    coarse, bands = pictures_of(maps, GRID, EXTENTS, Workers(1), most_bytes=900)
    assert coarse[0].shape[0] < fine[0].shape[0] / 2
    assert coarse[0].bounds == fine[0].bounds
    # an average, not one of many pixels
    south = bands[0].values[0][0, -1]
    assert south[0] < south[-1]


def test_coarser_pictures_fit_into_fewer_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random(EXTENTS[0].shape, np.float32)  # smooth maps are small at any size
    write_cog(tmp_path / "ssm_20230101.tif", [(EXTENTS[0], noise)], GRID, {"date": "2023-01-01"}, "soil moisture")
    maps = list_maps([tmp_path / "ssm_20230101.tif"])
    _, whole = pictures_of(maps, GRID, EXTENTS[:1], Workers(1))
    _, coarse = pictures_of(maps, GRID, EXTENTS[:1], Workers(1), most_bytes=1500)
    assert size(coarse) < 1.3 * 1500 < size(whole)


def test_the_page_asks_for_nothing(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"<(script|img|iframe)[^>]+src=|<link[^>]+href=\"(?!data:)|url\(", text)
    assert "default-src 'none'" in text


def test_text_of_others_is_data_alone(page: Path) -> None:
    text = page.read_text()
    assert "<b>hills" not in text
    assert "</script><script>window" not in text
    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["about"]["run"].startswith("0f3a</script>")


def test_the_same_maps_make_the_same_page(content: Content) -> None:
    assert render(content) == render(content)


def test_libraries_stand_with_their_licences() -> None:
    folder = Path(__file__).parents[3] / "src" / "mlssm" / "mapping" / "viewer"
    for place in PARTS.values():
        assert (folder / place).is_file()
    for name, licence in (("leaflet", "BSD 2-Clause"), ("uplot", "MIT")):
        assert licence in (folder / "vendor" / f"{name}.LICENSE").read_text()
        assert name in json.loads((folder / "vendor" / "versions.json").read_text())


def test_a_file_that_is_no_map_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no")
    with pytest.raises(DataError, match=r"a\.tif cannot be read"):
        list_maps([tmp_path / "a.tif"])


def test_a_page_that_cannot_be_written_says_where(content: Content, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/index\.html cannot be written"):
        write_page(tmp_path / "file" / "index.html", content)
