from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.ndvi import index_ndvi
from mlssm.sources.ndvi_names import read_name

LAND = np.full((4, 4), 0.4, np.float32)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("ndvi_20211001.tif", "20211001"),
        ("ndvi_20211001.TIF", "20211001"),
        ("ndvi_2021-11-18.tif", "20211118"),
        ("2021_11_18.tif", "20211118"),
        ("NDVI.2021.11.18.tiff", "20211118"),
        ("ndvi_2021338.tif", "20211204"),
        ("T11SKU_20211020T184401_NDVI_10m.tif", "20211020"),
        # sensing first, processing last
        ("S2A_MSIL2A_20211020T184401_N0500_R070_T11SKU_20230105T081512_NDVI.tif", "20211020"),
        ("LC08_L2SP_042036_20211112_20211125_02_T1_NDVI.tif", "20211112"),
        ("LE07_L1TP_042036_20211112_20211125_02_T1_NDVI.tif", "20211112"),
        ("MOD13Q1.A2021289.h08v05.061.2021306070541_NDVI.tif", "20211016"),
        ("HLS.S30.T11SKU.2021293T184401.v2.0.NDVI.tif", "20211020"),
        ("ndvi_20211001_20211001.tif", "20211001"),
        ("s2_tile_12345678_20211001.tif", "20211001"),
        # no days: refused later by their own words
        ("ndvi_20211301.tif", "20211301"),
        ("ndvi_2021400.tif", "2021400"),
        ("summer.tif", None),
        ("ndvi_202111.tif", None),
    ],
)
def test_names_as_producers_write_them(name: str, day: str | None) -> None:
    assert read_name(Path(name)) == (None if day is None else {"date": day})


def test_two_days_in_a_name_of_no_known_product_are_refused() -> None:
    with pytest.raises(DataError, match=r"dates 20211001, 20211016 in its name; .*datamodule\.ndvi_pattern"):
        read_name(Path("composite_20211001_20211016.tif"))


def folder(area_files: Any, *names: str) -> Path:
    for name in names:
        area_files.raster(f"ndvi/{name}", LAND)
    return Path(area_files.root / "ndvi")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ndvi_20211301.tif", "'20211301' in its name is not a date"),
        ("ndvi_2021400.tif", "'2021400' in its name is not a date"),
        ("ndvi_20990101.tif", "gives the date 2099-01-01, which is still to come"),
        ("composite_20211001_20211016.tif", "has the dates"),
    ],
)
def test_a_day_that_cannot_be_stops_the_run_or_is_left_out(area_files: Any, name: str, said: str) -> None:
    path = folder(area_files, name, "ndvi_20211001.tif")
    with pytest.raises(DataError, match=said) as error:
        index_ndvi(path, None, BadFiles("error"))
    assert str(error.value).startswith(str(path / name))
    skip = BadFiles("skip")
    assert [f"{image.day:%Y%m%d}" for image in index_ndvi(path, None, skip)] == ["20211001"]
    assert skip.skipped == [name]


@pytest.mark.parametrize("pattern", [None, r"ndvi_(?P<date>\d{8})\.tif"])
def test_names_that_carry_no_date_are_said(
    area_files: Any, pattern: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder(area_files, "ndvi_20211001.tif", "autumn.tif", "winter.tif")
    assert len(index_ndvi(path, pattern, BadFiles("error"))) == 1
    (line,) = caplog.messages
    assert line.startswith(f"2 GeoTIFFs in {path} (first: autumn.tif) do not match datamodule.ndvi_pattern")
