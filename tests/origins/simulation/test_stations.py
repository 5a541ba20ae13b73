import io

import numpy as np
import pandas as pd
import pytest

from mlssm.origins.simulation.landscape import widen
from mlssm.origins.simulation.stations import PLAIN, VARIABLES, build_tables, gaps, place_stations, spread
from mlssm.origins.simulation.weather import build_weather

HEAD = ["STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION", "NAME"]


@pytest.fixture(scope="module")
def weather(configure, landscape_of):
    return build_weather(configure(), landscape_of())


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.3, 0.9, 0.97])
def test_gaps_are_contiguous_and_take_their_share(fraction: float) -> None:
    missing = gaps(np.random.default_rng(3), 200_000, fraction, 8)
    assert missing.mean() == pytest.approx(fraction, abs=0.02)
    if 0 < fraction <= 0.3:
        begins = (np.diff(missing.astype(int)) == 1).sum()
        assert missing.sum() / begins == pytest.approx(8, rel=0.06)


def test_stations_are_spread_out() -> None:
    places = spread(np.random.default_rng(1), 30, 1000)
    chance = np.random.default_rng(1).uniform(-1000, 1000, (30, 2))
    nearest = [
        (np.linalg.norm(p[:, None] - p[None], axis=2) + 1e9 * np.eye(30)).min(axis=1).mean() for p in (places, chance)
    ]
    assert nearest[0] > 1.3 * nearest[1]
    assert np.abs(places).max() <= 1000


def test_stations_stand_on_the_terrain(configure, landscape_of) -> None:
    landscape = landscape_of()
    stations, points = place_stations(configure(stations=50), landscape)
    wide, _ = widen(landscape.grid)
    x, y = wide.project(np.array([s.longitude for s in stations]), np.array([s.latitude for s in stations]))
    west, south, east, north = wide.bounds
    assert ((x > west) & (x < east) & (y > south) & (y < north)).all()
    rows, columns = ((north - y) / 30).astype(int), ((x - west) / 30).astype(int)
    # the place is written in 1e-5 degrees, which may fall into the next pixel
    error = landscape.wide_elevation[rows, columns] - np.array([s.elevation for s in stations])
    assert np.median(np.abs(error)) < 0.06
    np.testing.assert_allclose(points.elevation, [s.elevation for s in stations])
    outside = (np.abs(points.east) > 24 * 30) | (np.abs(points.north) > 24 * 30)
    assert 0 < outside.sum() < 50


def test_csv_has_the_real_columns_and_units(configure, landscape_of, weather, shared) -> None:
    tables = build_tables(configure(gap_fraction=0.0), landscape_of(), weather)
    real = pd.read_csv(shared / "santa_barbara" / "weather" / "USW00023190.csv")
    first, second = (pd.read_csv(io.StringIO(tables[f"SIM{n:08d}"].to_csv(index=False))) for n in (1, 2))
    assert list(first.columns) == list(real.columns) == [*HEAD, *VARIABLES]
    assert list(second.columns) == [*HEAD, *PLAIN]
    assert all(first[name].dtype == np.int64 for name in VARIABLES)
    assert (first["TMAX"] > first["TMIN"]).all()
    assert first["RHAV"].between(1, 100).all()
    assert first["DATE"].tolist() == weather.days.astype(str).tolist()
    assert first["DATE"].iloc[0] == "2020-05-04"
    assert first["DATE"].iloc[-1] == "2021-08-31"


def test_without_gaps_a_gauge_reports_the_true_rain(configure, landscape_of, weather) -> None:
    config = configure(gap_fraction=0.0)
    tables = build_tables(config, landscape_of(), weather)
    _, points = place_stations(config, landscape_of())
    truth = np.stack([weather.rain(day, points) for day in range(len(weather.days))])
    for number, table in enumerate(tables.values()):
        np.testing.assert_allclose(table["PRCP"].astype(float) / 10, truth[:, number], atol=0.0501)
    assert truth.max() > 10


def test_gaps_come_as_left_out_days_and_empty_cells(configure, landscape_of, weather) -> None:
    tables = build_tables(configure(gap_fraction=0.3, stations=20), landscape_of(), weather)
    days = len(weather.days)
    present = [table["PRCP"].notna().sum() / days for table in tables.values()]
    assert np.mean(present) == pytest.approx(0.7, abs=0.06)
    assert all(len(table) < days for table in tables.values())
    assert all(table["PRCP"].isna().any() for table in tables.values())
    assert all(table.iloc[:, len(HEAD) :].notna().any(axis=1).all() for table in tables.values())
