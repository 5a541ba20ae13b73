import datetime as dt
import re
from typing import Any

import numpy as np
import pytest

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
