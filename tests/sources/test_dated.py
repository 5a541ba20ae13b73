import datetime as dt
import re
from typing import Any

import numpy as np
import pytest
import rasterio

from mlssm.errors import ConfigError, DataError
from mlssm.sources.dated import by_pattern, compile_pattern, index_dated
from mlssm.sources.faults import BadFiles

DAY = re.compile(r"ndvi (?P<date>[\d-]+)(?:_(?P<tile>\w+))?\.tif")
FORMATS = ("%Y%m%d", "%Y-%m-%d")


def test_rasters_are_found_by_their_whole_name_in_the_order_of_time(area_files: Any) -> None:
    values = np.ones((4, 4), np.float32)
    names = ["ndvi 20230202_B.tif", "ndvi 2023-01-01.tif", "ndvi 20230202_A.tif", "an ndvi 20230101.tif", "x.tif"]
    paths = [area_files.raster(name, values) for name in names]
    found = index_dated(paths, by_pattern(DAY), FORMATS, BadFiles("error"))
    assert [raster.info.path.name for raster in found] == [names[1], names[2], names[0]]
    assert [raster.time for raster in found[:2]] == [
        dt.datetime(2023, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2023, 2, 2, tzinfo=dt.UTC),
    ]
    assert [raster.groups.get("tile") for raster in found] == [None, "A", "B"]
    assert found[0].info.pixel == 30


def test_a_day_that_does_not_exist_is_named(area_files: Any) -> None:
    path = area_files.raster("ndvi 20230231.tif", np.ones((4, 4), np.float32))
    with pytest.raises(DataError, match=r"ndvi 20230231\.tif: '20230231' in its name is not a date written %Y%m%d"):
        index_dated([path], by_pattern(DAY), FORMATS, BadFiles("error"))
    skip = BadFiles("skip")
    assert index_dated([path], by_pattern(DAY), FORMATS, skip) == []
    assert skip.skipped == [path.name]


@pytest.mark.parametrize(
    ("pattern", "said"), [("(?P<date>", "is not a regular expression"), (r".*\.tif", r"lacks the group \(\?P<date>")]
)
def test_a_pattern_that_cannot_work_is_named_by_its_key(pattern: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        compile_pattern(pattern, "ndvi_pattern", ("date",))
    assert str(error.value).startswith(f"datamodule.ndvi_pattern={pattern!r}")


GREEDY = re.compile(r"S1_.*(?P<date>\d{8}T\d{6}).*\.tif")
TIME = ("%Y%m%dT%H%M%S",)


def test_the_date_of_processing_is_not_taken_for_that_of_sensing(area_files: Any) -> None:
    path = area_files.raster("S1_20211101T015858_20230505T101010_VV.tif", np.ones((4, 4), np.float32))
    with pytest.raises(DataError, match=r"takes 20230505T101010 for the date, but 20211101 stands in the name"):
        index_dated([path], by_pattern(GREEDY), TIME, BadFiles("error"))
    told = re.compile(r"S1_(?P<other>\d{8})T\d{6}_(?P<date>\d{8}T\d{6})_VV\.tif")
    (found,) = index_dated([path], by_pattern(told), TIME, BadFiles("error"))
    assert found.time == dt.datetime(2023, 5, 5, 10, 10, 10, tzinfo=dt.UTC)
    later = re.compile(r"S1_(?P<date>\d{8}T\d{6})_.*\.tif")
    (found,) = index_dated([path], by_pattern(later), TIME, BadFiles("error"))
    assert found.time.year == 2021


@pytest.mark.parametrize("tag", ["ZERO_DOPPLER_START_TIME", "sensing_start", "ACQUISITION_DATE"])
def test_a_time_of_sensing_that_the_file_states_counts(area_files: Any, tag: str) -> None:
    path = area_files.raster("ndvi 20230101.tif", np.ones((4, 4), np.float32))
    with rasterio.open(path, "r+") as file:
        file.update_tags(**{tag: "2022-12-31T23:59:58.123456Z"})
    assert len(index_dated([path], by_pattern(DAY), FORMATS, BadFiles("error"))) == 1  # another day, but hours away
    with rasterio.open(path, "r+") as file:
        file.update_tags(**{tag: "2022-11-20T01:58:58Z"})
    with pytest.raises(DataError, match=rf"gives the date 2023-01-01, its tag {tag.upper()} 2022-11-20; rename it"):
        index_dated([path], by_pattern(DAY), FORMATS, BadFiles("error"))


def test_a_day_to_come_is_refused_but_where_it_is_allowed(area_files: Any) -> None:
    path = area_files.raster("ndvi 20990101.tif", np.ones((4, 4), np.float32))
    with pytest.raises(DataError, match="2099-01-01, which is still to come"):
        index_dated([path], by_pattern(DAY), FORMATS, BadFiles("error"))
    ever = dt.datetime.max.replace(tzinfo=dt.UTC)
    assert len(index_dated([path], by_pattern(DAY), FORMATS, BadFiles("error"), ever)) == 1
