import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mlssm.grid import Grid
from mlssm.origins.simulation import simulate
from mlssm.origins.simulation.probes import DAILY_ERROR, FILE, FOLDER, POROSITY, PROBES, measured, place_probes


@pytest.fixture(scope="module")
def area(tmp_path_factory, configure):
    folder = tmp_path_factory.mktemp("probed") / "area"
    simulate(configure(), folder)
    return folder


def test_good_values_follow_the_truth_of_their_pixel(area, landscape_of) -> None:
    grid: Grid = landscape_of().grid
    soil = landscape_of().soil
    table = pd.read_csv(area / FOLDER / FILE, parse_dates=["date"])
    truth = xr.open_zarr(area / "truth.zarr")["ssm"]
    # an evening pass sees the storage at the end of its local day, in UTC the next date; a morning one that of the
    # day before
    evening = pd.DatetimeIndex(truth["time"]).hour < 12
    days = pd.DatetimeIndex(truth["time"]).normalize() - pd.Timedelta(days=1)
    assert evening.any()
    for name, own in table[table["flag"] == "G"].groupby("station"):
        x, y = grid.project(own["longitude"].iloc[0], own["latitude"].iloc[0])
        col, row = int((x - grid.origin[0]) / grid.pixel), int((grid.origin[1] - y) / grid.pixel)
        series = own.set_index("date")["soil_moisture"].reindex(days).to_numpy()
        expected = POROSITY[soil[row, col] - 1] * truth.values[:, row, col]
        known = np.isfinite(series)
        assert known.sum() > 10, name
        # what is left beside an offset is the daily error, but for what is clipped at 0
        assert (series - expected)[known].std() < 1.6 * DAILY_ERROR, name
    assert table["station"].nunique() == PROBES
    span = (table["date"].max() - table["date"].min()).days + 1
    assert 0.05 < 1 - len(table) / (PROBES * span) < 0.2
    assert 0.005 < (table["flag"] == "D").mean() < 0.05


def test_an_area_of_before_is_given_the_same_probes_and_nothing_else(area, configure, tmp_path) -> None:
    old = tmp_path / "area"
    shutil.copytree(area, old, ignore=shutil.ignore_patterns(FOLDER))
    before = {path: path.stat().st_mtime_ns for path in old.rglob("*") if path.is_file()}
    simulate(configure(), old)
    assert (old / FOLDER / FILE).read_bytes() == (area / FOLDER / FILE).read_bytes()
    after = {path: path.stat().st_mtime_ns for path in old.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if path.parent.name != FOLDER} == before


def test_probes_stand_on_land_in_the_middle_of_their_pixel(landscape_of) -> None:
    landscape = landscape_of()
    probes = place_probes(3, landscape)
    assert len({(probe.row, probe.col) for probe in probes}) == PROBES
    for probe in probes:
        assert landscape.land[probe.row, probe.col]
        x, y = landscape.grid.project(probe.longitude, probe.latitude)
        centre_x, centre_y = landscape.grid.centres(landscape.grid.full)
        assert abs(x - centre_x[probe.col]) < 0.2
        assert abs(y - centre_y[probe.row]) < 0.2


def test_a_probe_reports_water_by_volume_within_its_pores() -> None:
    truth = np.linspace(0, 1, 2000)
    found, flag = measured(truth, 0.4, np.random.default_rng(0))
    assert found.min() >= 0
    assert found.max() <= 0.4
    good = flag == "G"
    slope, _ = np.polyfit(truth[good], found[good], 1)
    assert slope == pytest.approx(0.4, abs=0.03)
    assert np.corrcoef(truth[~good], found[~good])[0, 1] < 0.5
