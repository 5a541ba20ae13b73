from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mlssm.errors import DataError

DAYS = pd.date_range("2022-01-01", periods=3)
Grid = Callable[..., xr.Dataset]


def write(dataset: xr.Dataset, folder: Path, name: str = "g.nc", **encoding: Any) -> None:
    dataset.to_netcdf(folder / name, encoding=encoding or None)


def middle(found: dict[str, Any]) -> pd.DataFrame:
    """The days of the cell in the middle."""
    return next(
        record
        for record in found.values()
        if record.latitude == pytest.approx(34.45) and record.longitude == pytest.approx(-119.75)
    ).observations


@pytest.mark.parametrize(
    ("unit", "number", "mm"),
    [
        ("mm", 5, 5),
        ("m", 0.005, 5),
        ("kg m-2", 5, 5),
        ("kg m**-2 s**-1", 5 / 86400, 5),
        ("mm/day", 5, 5),
        ("mm/hr", 0.25, 6),
        ("inches", 0.2, 5.08),
    ],
)
def test_rain_of_days_in_the_units_that_the_file_states(
    folder: Path, read: Callable[..., Any], grid: Grid, unit: str, number: float, mm: float
) -> None:
    write(grid(DAYS, pr=([number, 0, 2 * number], unit)), folder)
    found = read()
    assert len(found) == 9
    np.testing.assert_allclose(middle(found)["precipitation"], [mm, 0, 2 * mm], rtol=1e-6)


def test_a_file_without_units_is_refused_unless_they_are_set(
    folder: Path, read: Callable[..., Any], grid: Grid
) -> None:
    dataset = grid(DAYS, tp=([0.001, 0, 0.002], "m"))
    del dataset["tp"].attrs["units"]
    write(dataset, folder)
    with pytest.raises(DataError, match=r"tp states no unit; give it in datamodule\.weather\.columns"):
        read()
    np.testing.assert_allclose(
        middle(read(columns={"precipitation": {"column": "tp", "unit": "m"}}))["precipitation"], [1, 0, 2]
    )
    with pytest.raises(DataError, match="none of its variables"):
        read(columns={"precipitation": {"column": "rain", "unit": "m"}})


def test_the_right_cells_whichever_way_axes_run(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    values = np.arange(9.0).reshape(1, 3, 3) + np.zeros((3, 1, 1))
    dataset = grid(DAYS, pr=(values, "mm"))
    write(dataset, folder)
    expected = {record.id: record.observations["precipitation"].iloc[0] for record in read().values()}
    assert expected["g_34.6000_-119.9000"] == 0
    assert expected["g_34.3000_-119.6000"] == 8
    turned = (
        dataset.assign_coords(lon=dataset.lon % 360).isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")
    )
    write(turned, folder)
    found = {record.id: record.observations["precipitation"].iloc[0] for record in read().values()}
    assert found == pytest.approx(expected)


def test_only_cells_around_the_area_are_read(folder: Path, read: Callable[..., Any]) -> None:
    lat, lon = np.arange(-90, 90.1, 0.5), np.arange(0, 360, 0.5)
    rain = np.zeros((2, len(lat), len(lon)), np.float32)
    dataset = xr.Dataset(
        {"pr": (("time", "lat", "lon"), rain, {"units": "mm"})}, {"time": DAYS[:2], "lat": lat, "lon": lon}
    )
    write(dataset, folder)
    found = read()
    assert len(found) == 12
    assert all(abs(record.latitude - 34.45) < 1 and abs(record.longitude + 119.75) < 1.1 for record in found.values())
    across = read(boxes=((-0.2, 51.4, 0.1, 51.6),))  # London: at both ends of the file's longitudes
    assert {round(record.longitude, 1) for record in across.values()} == {-1, -0.5, 0, 0.5}
    write(dataset.isel(lat=slice(0, 40)), folder)
    with pytest.raises(DataError, match="none of them around the images"):
        read()


def test_a_fine_grid_is_averaged_and_told(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    write(grid(DAYS, pr=(np.arange(9.0).reshape(1, 3, 3) + np.zeros((3, 1, 1)), "mm")), folder)
    found = list(read(most_stations=4).values())
    rain = sorted(record.observations["precipitation"].iloc[0] for record in found)
    # blocks of 2 x 2, 2 x 1, 1 x 2, 1 x 1 of 0..8
    assert rain == [2, 3.5, 6.5, 8]
    assert any("9 cells are averaged to 4, 2 x 2 each" in note for note in found[0].notes)


def hours(days: int = 3, first: str = "2022-01-01 01:00") -> pd.DatetimeIndex:
    return pd.date_range(first, periods=24 * days, freq="h")


def test_era5_land_is_taken_apart_and_summed_to_days_that_end_with_the_pass(
    folder: Path, read: Callable[..., Any], grid: Grid
) -> None:
    """Sums since midnight UTC in m, K, J m-2, wind in two parts, against pandas on the hours they were made of."""
    ends = hours(5)
    rain = pd.Series(np.arange(120) % 5 / 1000, ends)  # m
    light = pd.Series(3600.0 * np.arange(120) % 7e5, ends)
    since = {
        name: made.groupby((ends - pd.Timedelta(seconds=1)).date).cumsum()
        for name, made in {"tp": rain, "ssrd": light}.items()
    }
    kelvin = 283.15 + 5 * np.sin(np.arange(120) / 4)
    dataset = grid(
        ends,
        {"title": "ERA5-Land hourly"},
        tp=(since["tp"], "m"),
        ssrd=(since["ssrd"], "J m**-2"),
        t2m=(kelvin, "K"),
        d2m=(kelvin - 2, "K"),
        u10=(np.full(120, 3.0), "m s**-1"),
        v10=(np.full(120, -4.0), "m s**-1"),
    ).rename(time="valid_time")
    write(dataset, folder, tp={"dtype": "int16", "scale_factor": 1e-5, "_FillValue": -32767})
    found = read(hour=18)
    days = middle(found)
    local = rain.set_axis(ends - pd.Timedelta(hours=8))
    for day in ("2022-01-02", "2022-01-03"):
        end = pd.Timestamp(day) + pd.Timedelta(hours=18)
        of_day = (local.index > end - pd.Timedelta(hours=24)) & (local.index <= end)
        assert of_day.sum() == 24
        assert days.loc[day, "precipitation"] == pytest.approx(1000 * local[of_day].sum(), abs=0.05)
        assert days.loc[day, "radiation"] == pytest.approx(light.to_numpy()[of_day].sum() / 1e6)
        celsius = kelvin[of_day] - 273.15
        assert days.loc[day, "max_temperature"] == pytest.approx(celsius.max())
        dew = celsius - 2
        assert days.loc[day, "vapour_pressure"] == pytest.approx(
            (0.6108 * np.exp(17.27 * dew / (dew + 237.3))).mean(), rel=1e-3
        )
    np.testing.assert_allclose(days["wind"].dropna(), 5)
    notes = next(iter(found.values())).notes
    assert any("weather/tp: its sums are since midnight UTC" in note for note in notes)
    assert any("heights are unknown" in note for note in notes)


def test_sums_of_the_hour_are_left_as_they_are(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    rain = np.arange(72) % 5 / 1000
    write(grid(hours(3, "2022-01-01 09:00"), tp=(rain, "m")), folder)
    np.testing.assert_allclose(middle(read())["precipitation"], 1000 * rain.reshape(3, 24).sum(axis=1))
    few = np.where(np.arange(72) == 15, 0.001, 0)  # to midnight UTC: the sum of that day, or of that hour
    write(grid(hours(3, "2022-01-01 09:00"), tp=(few, "m")), folder)
    with pytest.raises(DataError, match=r"too little rises to tell .* set datamodule\.weather\.time\.accumulated"):
        read()
    settled = read(time={"accumulated": "hour"})
    np.testing.assert_allclose(middle(settled)["precipitation"], [1, 0, 0])


def test_imerg_rates_of_half_hours(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    """mm/h, times at the beginning, longitude first, in the group Grid."""
    begins = pd.date_range("2022-01-01 08:00", periods=96, freq="30min")
    rates = np.arange(96) % 3 / 2
    dataset = grid(begins, precipitation=(rates, "mm/hr")).transpose("time", "lon", "lat")
    xr.Dataset(attrs={"FileHeader": "AlgorithmID=3B-HHR"}).to_netcdf(folder / "3B-HHR.HDF5", engine="netcdf4")
    dataset.to_netcdf(folder / "3B-HHR.HDF5", group="Grid", mode="a", engine="netcdf4")
    found = read()
    np.testing.assert_allclose(middle(found)["precipitation"], rates.reshape(2, 48).sum(axis=1) / 2)
    assert any("beginnings of their steps" in note for note in next(iter(found.values())).notes)


def test_prism_days_end_at_noon_utc_and_are_of_the_day_before(
    folder: Path, read: Callable[..., Any], grid: Grid
) -> None:
    for number, day in enumerate(DAYS):
        one = grid(DAYS[:1], ppt=([float(number)], "mm"), tmax=([20.0], "degC")).isel(time=0, drop=True)
        write(one, folder, f"prism_ppt_us_25m_{day:%Y%m%d}.nc")
    found = read()
    days = middle(found)
    assert list(days.index.strftime("%m-%d")) == ["12-31", "01-01", "01-02"]
    np.testing.assert_allclose(days["precipitation"], [0, 1, 2])
    notes = next(iter(found.values())).notes
    assert any(
        "end at 12:00 UTC (as PRISM's), which is 04:00 local: 20 of 24 hours" in note and "day before" in note
        for note in notes
    )


def test_days_of_utc_are_told(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    write(grid(DAYS, pr=([1, 2, 3], "mm")), folder)
    found = read()
    assert list(middle(found).index) == list(DAYS)
    notes = next(iter(found.values())).notes
    assert any(
        "end at 00:00 UTC (taken for granted" in note and "16:00 local: 16 of 24 hours" in note for note in notes
    )
    assert list(middle(read(time={"day_ends": "local"})).index) == list(DAYS)
    assert middle(read(time={"day_ends": 12.0})).index[0] == DAYS[0] - pd.Timedelta(days=1)
    bounded = grid(DAYS, pr=([1, 2, 3], "mm"))
    bounded["time"].attrs["bounds"] = "time_bnds"
    bounded["time"].encoding["units"] = "hours since 2000-01-01"
    bounded["time_bnds"] = (
        ("time", "nv"),
        np.stack([DAYS - pd.Timedelta(hours=12), DAYS + pd.Timedelta(hours=12)], axis=1),
    )
    write(bounded, folder)
    notes = next(iter(read().values())).notes
    assert any("end at 12:00 UTC (by its bounds)" in note for note in notes)


def daymet(leap: bool) -> xr.Dataset:
    """Latitudes and longitudes of two dimensions, radiation of the daylight, no 31 December in leap years."""
    year = 2020 if leap else 2021
    days = pd.date_range(f"{year}-12-28", periods=3) + pd.Timedelta(hours=12)
    x, y = np.meshgrid(np.linspace(-119.95, -119.55, 5), np.linspace(34.7, 34.2, 5))
    everywhere = np.ones((3, 5, 5))
    dims = ("time", "y", "x")
    dataset = xr.Dataset(
        {
            "prcp": (dims, 4 * everywhere, {"units": "mm/day"}),
            "tmax": (dims, 20 * everywhere, {"units": "degrees C"}),
            "tmin": (dims, 8 * everywhere, {"units": "degrees C"}),
            "vp": (dims, 900 * everywhere, {"units": "Pa"}),
            "srad": (dims, 300 * everywhere, {"units": "W/m2"}),
            "dayl": (dims, 36000 * everywhere, {"units": "s"}),
            "yearday": ("time", days.dayofyear.to_numpy()),
            "lambert_conformal_conic": ((), 0, {"grid_mapping_name": "lambert_conformal_conic"}),
        },
        {"time": days, "lat": (("y", "x"), y), "lon": (("y", "x"), x + 0.02 * (y - 34.45))},
        {"title": "Daymet: Daily Surface Weather Data", "source": "Daymet Software Version 4.0"},
    )
    return dataset


def test_daymet(folder: Path, read: Callable[..., Any]) -> None:
    write(daymet(leap=True), folder, "daymet_v4_daily_na_2020.nc")
    found = read()
    assert len(found) == 25
    days = next(iter(found.values())).observations
    assert list(days.index.strftime("%m-%d")) == ["12-28", "12-29", "12-30"]
    expected = {"precipitation": 4, "max_temperature": 20, "vapour_pressure": 0.9, "radiation": 10.8}
    for name, value in expected.items():
        np.testing.assert_allclose(days[name], value)
    assert any("days are taken for local ones" in note for note in next(iter(found.values())).notes)


def test_calendars_without_leap_days(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    dataset = grid(DAYS, pr=([1, 2, 3], "mm")).drop_vars("time")
    dataset["time"] = ("time", [58, 59, 60], {"units": "days since 2020-01-01", "calendar": "noleap"})
    write(dataset, folder)
    found = read()
    days = middle(found)["precipitation"]
    assert days.loc["2020-02-28"] == 1
    assert np.isnan(days.loc["2020-02-29"])
    assert days.loc["2020-03-01"] == 2
    assert any("noleap: 29 February is missing" in note for note in next(iter(found.values())).notes)
    dataset["time"].attrs["calendar"] = "360_day"
    write(dataset, folder)
    with pytest.raises(DataError, match="360 days a year"):
        read()
    # Daymet's own: day 60 of a leap year is 29 February
    own = daymet(leap=True).drop_vars("time")
    own["time"] = ("time", [58, 59, 60], {"units": "days since 2020-01-01", "calendar": "noleap"})
    own["yearday"] = ("time", [59, 60, 61])
    write(own, folder)
    assert list(next(iter(read().values())).observations.index.strftime("%m-%d")) == ["02-28", "02-29", "03-01"]


def test_projected_grids_by_their_projection(folder: Path, read: Callable[..., Any]) -> None:
    from pyproj import CRS, Transformer

    crs = CRS.from_epsg(32611)
    x, y = np.arange(240000, 260000, 5000.0), np.arange(3825000, 3805000, -5000.0)
    dims = ("time", "y", "x")
    dataset = xr.Dataset(
        {"pr": (dims, np.ones((2, 4, 4)), {"units": "mm", "grid_mapping": "crs"}), "crs": ((), 0, crs.to_cf())},
        {"time": DAYS[:2], "x": x, "y": y},
    )
    write(dataset, folder)
    found = list(read(boxes=((-119.8, 34.44, -119.7, 34.5),)).values())
    longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x[1], y[1])
    assert any(
        record.longitude == pytest.approx(longitude) and record.latitude == pytest.approx(latitude) for record in found
    )


def test_missing_values_that_are_not_declared(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    write(grid(DAYS, multisensor_qpe_24h_pass2=([1.0, -3.0, -1.0], "mm")), folder, "mrms.nc")
    found = read()
    np.testing.assert_allclose(middle(found)["precipitation"], [1, np.nan, np.nan])
    assert any("-3, -1 stands for missing" in note for note in next(iter(found.values())).notes)


def test_impossible_values_are_refused(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    write(grid(DAYS, t2m=([290.0, 291, 292], "degC"), pr=([1, 2, 3], "mm")), folder)
    with pytest.raises(DataError, match=r"weather/t2m: 27 of 27 values are impossible in 'degC', e\.g\. 290"):
        read()


def test_variables_and_months_in_files_of_their_own_and_heights(
    folder: Path, read: Callable[..., Any], grid: Grid
) -> None:
    more = pd.date_range("2022-01-03", periods=2)
    write(grid(DAYS, pr=([1, 2, 3], "mm")), folder, "a.nc")
    write(grid(more, pr=([3, 4], "mm")), folder, "b.nc")
    write(grid(DAYS, tasmax=([20, 21, 22], "degC")), folder, "c.nc")
    write(grid(DAYS[:1], z=([9806.65], "m**2 s**-2")), folder, "geo.nc")
    found = read()
    assert len(found) == 9
    days = middle(found)
    np.testing.assert_allclose(days["precipitation"], [1, 2, 3, 4])
    np.testing.assert_allclose(days["max_temperature"], [20, 21, 22, np.nan])
    assert next(iter(found.values())).elevation_m == pytest.approx(1000)
    assert any("1 times of weather/pr are in several files" in note for note in next(iter(found.values())).notes)
    write(grid(more, pr=([9, 4], "mm")), folder, "b.nc")
    with pytest.raises(DataError, match="files disagree on 2022-01-03"):
        read()


def test_zarr_stores(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    grid(DAYS, pr=([1, 2, 3], "mm")).to_zarr(folder / "g.zarr", zarr_format=2, consolidated=False)
    np.testing.assert_allclose(middle(read())["precipitation"], [1, 2, 3])


def test_two_candidates_and_dimensions_too_many(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    dataset = grid(DAYS, pr=([1, 2, 3], "mm"), tp=([1, 2, 3], "mm"))
    write(dataset, folder)
    with pytest.raises(DataError, match="pr and tp can both be precipitation; say which"):
        read()
    members = grid(DAYS, pr=([1, 2, 3], "mm")).expand_dims(number=[0, 1])
    write(members, folder)
    with pytest.raises(DataError, match="pr has 2 values along 'number'; take one of them"):
        read()
    write(members.isel(number=[0]), folder)
    np.testing.assert_allclose(middle(read())["precipitation"], [1, 2, 3])


def test_the_preliminary_era5_where_the_final_one_ends(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    nan = np.nan
    versions = [grid(DAYS, tp=([0.001, 0.002, nan], "m")), grid(DAYS, tp=([nan, nan, 0.003], "m"))]
    write(xr.concat(versions, pd.Index([1, 5], name="expver")), folder)
    np.testing.assert_allclose(middle(read())["precipitation"], [1, 2, 3])


def test_a_file_that_is_no_grid(folder: Path, read: Callable[..., Any]) -> None:
    (folder / "g.nc").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"g\.nc: cannot be read as NetCDF or zarr"):
        read()


def test_daily_sums_that_are_stamped_at_their_end(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    """MRMS at 12 UTC of the 2nd: from 04:00 of the 1st to 04:00 of the 2nd, in California."""
    times = pd.date_range("2022-01-02 12:00", periods=2)
    write(grid(times, multisensor_qpe_24h_pass2=([5.0, 6.0], "mm")), folder, "mrms.nc")
    assert list(middle(read()).index.strftime("%m-%d")) == ["01-01", "01-02"]
    write(grid(times, pr=([5.0, 6.0], "mm")), folder, "mrms.nc")
    assert list(middle(read(time={"stamp": "begin"})).index.strftime("%m-%d")) == ["01-02", "01-03"]


def test_cells_of_the_sea_are_left_out(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    rain = np.ones((3, 3, 3))
    rain[:, 2, :2] = np.nan
    write(grid(DAYS, pr=(rain, "mm")), folder)
    found = read()
    assert len(found) == 7
    assert any("2 of 9 cells have no value at all" in note for note in next(iter(found.values())).notes)
    write(grid(DAYS, pr=(np.full((3, 3, 3), np.nan), "mm")), folder)
    with pytest.raises(DataError, match="none of the 1 station files can be used"):
        read()


def test_rain_whose_unit_is_too_small_is_warned_of(
    folder: Path, read: Callable[..., Any], grid: Grid, caplog: pytest.LogCaptureFixture
) -> None:
    days = pd.date_range("2022-01-01", periods=250)
    write(grid(days, tp=(np.arange(250) % 30 / 1000, "mm")), folder)  # metres, said to be millimetres
    read()
    assert any("no day of 250 has more than 0.029 mm of rain; is its unit right?" in line for line in caplog.messages)


def test_the_even_air_of_the_sea_is_no_other_unit(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    days = pd.date_range("2022-01-01", periods=60)
    even = 288.15 + 0.2 * np.sin(np.arange(60) / 9)
    write(grid(days, tasmax=(even, "K"), tasmin=(even - 0.8, "K")), folder)
    assert middle(read())["max_temperature"].mean() == pytest.approx(even.mean() - 273.15)


def test_sums_since_the_start_of_a_forecast(folder: Path, read: Callable[..., Any]) -> None:
    """As ECMWF gives it: a run of 60 hours, times by `valid_time`, sums that go on over midnight."""
    rain = np.arange(60) % 4 / 1000
    steps = pd.timedelta_range("1h", periods=60, freq="h")
    start = pd.Timestamp("2022-01-01 06:00")
    sums = np.cumsum(rain)[:, None, None] * np.ones((1, 3, 3))
    dataset = xr.Dataset(
        {"tp": (("step", "latitude", "longitude"), sums, {"units": "m"})},
        {"time": start, "step": steps, "valid_time": ("step", start + steps)}
        | {"latitude": [34.6, 34.45, 34.3], "longitude": [-119.9, -119.75, -119.6]},
    )
    write(dataset, folder)
    found = read()
    whole = rain[2:50].reshape(2, 24).sum(axis=1) * 1000  # local midnight is 08:00 UTC
    np.testing.assert_allclose(middle(found)["precipitation"].loc["2022-01-01":"2022-01-02"], whole)
    assert any("since the start of the forecast" in note for note in next(iter(found.values())).notes)


def test_files_without_times_or_with_missing_ones(folder: Path, read: Callable[..., Any], grid: Grid) -> None:
    for dataset, message in (
        (
            grid(DAYS, pr=([1, 2, 3], "mm")).isel(time=0, drop=True),
            "no time: no coordinate of dates, and no day",
        ),
        (grid(DAYS, pr=([1, 2, 3], "mm")).isel(time=slice(0, 0)), "time is empty, or has a time that is missing"),
        (grid([*DAYS[:2], pd.NaT], pr=([1, 2, 3], "mm")), "time is empty, or has a time that is missing"),
    ):
        write(dataset, folder)
        with pytest.raises(DataError, match=message):
            read()
