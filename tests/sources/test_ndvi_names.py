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


@pytest.mark.parametrize(
    ("name", "named", "known"),
    [
        ("MOD13Q1.A2021289.h08v05.061.2021306070541_NDVI.tif", "20211016", "20211031"),
        ("MYD13A3.A2021001.h08v05.061.2021306070541_NDVI.tif", "20210101", "20210131"),
        ("VNP13A1.A2021361.h08v05.001.2022014070541.tif", "20211227", "20220111"),
        ("MCD43A4.A2021009.h08v05.061.2021018070541.tif", "20210109", "20210117"),
    ],
)
def test_a_composite_is_known_on_its_last_day(name: str, named: str, known: str) -> None:
    """MODIS names 16 days by their first: a forecast of the second day must not see the others."""
    assert read_name(Path(name)) == {"date": known, "composite": named}


def test_composites_are_told(area_files: Any) -> None:
    bad = BadFiles("error")
    (image,) = index_ndvi(folder(area_files, "MOD13Q1.A2021289.h08v05.061.2021306070541_NDVI.tif"), None, bad)
    assert f"{image.day}" == "2021-10-31"
    assert "named by their first day or middle were dated by their last day" in bad.corrections()[0]


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
