"""How sure the mean of a zone is, from files of maps whose errors are made up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer
from shapely.geometry import Polygon

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import Band, write_cog
from mlssm.mapping.list import DayMap, list_maps
from mlssm.mapping.products.zones import ZoneRule, read_zones, zonal_statistics
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.uncertainty.support import Support

Maps = Callable[..., list[HeldOutMap]]
SIDE = 16  # of made-up maps
FACTOR = 2  # map pixels along a calibrated one
GRID = Grid("EPSG:32611", (230000.0, 3820000.0), 30.0, SIDE * FACTOR, SIDE * FACTOR)
DATES = 40


def block(row: int, col: int, side: int) -> Polygon:
    """Some calibrated pixels, in degrees."""
    degrees = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True).transform
    west, north, pixel = GRID.origin[0] + col * 60, GRID.origin[1] - row * 60, 60 * side
    return Polygon([degrees(west + x, north - y) for x, y in ((0, 0), (pixel, 0), (pixel, pixel), (0, pixel))])


@pytest.fixture(scope="module")
def calibration(made_up: Maps) -> Calibration:
    return Calibration.fit(made_up(200, 1, size=0.05), [2020], "made up")


def fine(values: Any) -> list[tuple[Window, np.ndarray]]:
    return [(GRID.full, np.asarray(values, np.float32).repeat(FACTOR, axis=0).repeat(FACTOR, axis=1))]


@pytest.fixture(scope="module")
def held_out(
    calibration: Calibration, made_up: Maps, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[HeldOutMap], list[DayMap]]:
    """New dates, and the maps that `predict.py` would have written of them."""
    dates, folder = made_up(DATES, 2, size=0.05), tmp_path_factory.mktemp("zones")
    for number, each in enumerate(dates):
        error = calibration.standard_error(each.mean.astype(float), calibration.deviation(each))
        bands = [Band("standard_error", "standard error", "1", fine(error))]
        day = str(np.datetime64("2023-01-01") + number)
        write_cog(folder / f"ssm_{day}.tif", fine(each.mean), GRID, {"date": day}, "ssm", bands)
    return dates, list_maps(list(folder.glob("*.tif")))


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> gpd.GeoDataFrame:
    """Squares of 8 x 8 calibrated pixels that tile the map."""
    path = tmp_path_factory.mktemp("zones") / "zones.geojson"
    squares = [block(row, col, 8) for row in (0, 8) for col in (0, 8)]
    gpd.GeoDataFrame(geometry=squares, crs="EPSG:4326").to_file(path)
    return read_zones(path, 30)


def covered(table: pd.DataFrame, dates: list[HeldOutMap]) -> float:
    """Share of zones and dates whose mean label lies within."""
    inside = []
    for (number, each), (_, rows) in zip(enumerate(dates), table.groupby("date"), strict=True):
        assert rows["date"].iloc[0] == str(np.datetime64("2023-01-01") + number)
        for row in rows.to_dict("records"):
            top, left = 8 * (row["zone"] // 2), 8 * (row["zone"] % 2)
            mean = np.nanmean(each.label[top : top + 8, left : left + 8])
            inside.append(row["lower"] <= mean <= row["upper"])
    return float(np.mean(inside))


def test_means_of_zones_are_covered_where_independent_pixels_would_not_be(
    calibration: Calibration, held_out: Any, zones: gpd.GeoDataFrame
) -> None:
    dates, maps = held_out
    table = zonal_statistics(maps, zones, (0.5,), ZoneRule(calibration, 0.9, False, FACTOR**2))
    assert len(table) == DATES * 4
    # half of the variance is common to a date, so that there are 40 cases: three errors are 0.14
    assert 0.78 <= covered(table, dates) <= 1
    assert ((table["lower"] <= table["mean"]) & (table["mean"] <= table["upper"])).all()
    alone = Support(calibration.support.pixels, 1 / calibration.support.pixels)
    narrow = ZoneRule(Calibration(**{**vars(calibration), "support": alone}), 0.9, False, FACTOR**2)
    assert covered(zonal_statistics(maps, zones, (), narrow), dates) < 0.5


def test_the_rule_is_the_stated_one(calibration: Calibration, held_out: Any, zones: gpd.GeoDataFrame) -> None:
    dates, maps = held_out
    table = zonal_statistics(maps[:1], zones, (0.5,), ZoneRule(calibration, 0.9, False, FACTOR**2))
    first = table[table["zone"] == 1].iloc[0]
    square = np.s_[0:8, 8:16]
    mean = dates[0].mean[square].astype(float).mean()
    sigma = calibration.deviation(dates[0])[square].mean()
    error = sigma * np.sqrt(np.interp(np.log(64), np.log(calibration.support.pixels), calibration.support.share))
    # a zone in degrees is not quite one on the grid
    assert first["mean"] == pytest.approx(mean, abs=2e-3)
    assert first["standard_error"] == pytest.approx(error, rel=0.02)
    assert first["upper"] - first["lower"] == pytest.approx(2 * 1.6449 * error, rel=0.02)
    assert first["probability_mean_above_0.5"] == pytest.approx(
        calibration.mean_exceedance(mean, sigma, 64, 0.5), abs=0.02
    )


def test_conservative_means_are_wider(
    calibration: Calibration, held_out: Any, zones: gpd.GeoDataFrame, made_up: Maps
) -> None:
    dates, maps = held_out
    told = [
        zonal_statistics(maps, zones, (), ZoneRule(calibration, 0.9, careful, FACTOR**2)) for careful in (False, True)
    ]
    width = [(table["upper"] - table["lower"]).mean() for table in told]
    assert width[1] > width[0]
    assert covered(told[1], dates) >= covered(told[0], dates)
    few = Calibration.fit(made_up(8, 0), [2020], "")  # which cannot tell
    table = zonal_statistics(maps[:1], zones, (), ZoneRule(few, 0.9, True, 1))
    assert (table["lower"].tolist(), table["upper"].tolist()) == ([0] * 4, [1] * 4)


def test_a_zone_within_a_pixel_is_as_sure_as_that(calibration: Calibration, held_out: Any, tmp_path: Path) -> None:
    path, (dates, maps) = tmp_path / "small.geojson", held_out
    small = block(3, 5, 1).buffer(-1e-4)
    away = block(500, 500, 1)
    gpd.GeoDataFrame(geometry=[small, away], crs="EPSG:4326").to_file(path)
    table = zonal_statistics(maps[:1], read_zones(path, 30), (), ZoneRule(calibration, 0.9, False, FACTOR**2))
    expected = calibration.deviation(dates[0])[3, 5] * np.sqrt(calibration.support.of(1))
    assert table["standard_error"][0] == pytest.approx(float(expected), rel=0.02)
    assert table.loc[1, ["mean", "standard_error", "lower", "upper"]].isna().all()


def test_maps_without_errors_are_refused(calibration: Calibration, zones: gpd.GeoDataFrame, tmp_path: Path) -> None:
    path = tmp_path / "ssm_2023-01-01.tif"
    write_cog(path, fine(np.full((SIDE, SIDE), 0.4)), GRID, {"date": "2023-01-01"}, "ssm")
    with pytest.raises(DataError, match="has no band standard_error, which the intervals of zones need"):
        zonal_statistics(list_maps([path]), zones, (), ZoneRule(calibration, 0.9, False, 1))
