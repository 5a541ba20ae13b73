from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError

SOIL = "-99.000 " * 5 + "-9999.0 " * 5


def daily(day: str, tmax: float, tmin: float, rain: float, radiation: float, humidity: float) -> str:
    head = f"53152 {day} 2.622 -119.88 34.41 {tmax} {tmin} {(tmax + tmin) / 2:.1f} 12.0 {rain} {radiation}"
    return f"{head} C 30.0 1.0 12.0 90.0 40.0 {humidity} {SOIL}"


def hourly(stamp: pd.Timestamp, temperature: float, rain: float, radiation: float = 100, flag: int = 0) -> str:
    local = stamp - pd.Timedelta(hours=8)
    head = f"53152 {stamp:%Y%m%d %H%M} {local:%Y%m%d %H%M} 2.622 -119.88 34.41 {temperature} {temperature}"
    middle = f"{temperature + 1} {temperature - 1} {rain} {radiation} {flag} 200 0 0 0 C 20 0 21 0 19 0 50 0"
    return f"{head} {middle} {SOIL}"


def test_daily_files_of_several_years_are_one_station(folder: Path, read: Callable[..., Any]) -> None:
    (folder / "CRND0103-2020-CA_Santa_Barbara_11_W.txt").write_text(daily("20201231", 20.1, 8.2, 1.3, 9.5, 65) + "\n")
    (folder / "CRND0103-2021-CA_Santa_Barbara_11_W.txt").write_text(
        daily("20210101", 21.0, -9999.0, -9999.0, -9999.0, -9999.0) + "\n" + daily("20210102", 22, 9, 0, 10, 60) + "\n"
    )
    (record,) = read().values()
    assert (record.id, record.longitude, record.latitude) == ("USW00053152", -119.88, 34.41)
    columns = ["max_temperature", "min_temperature", "precipitation", "radiation", "relative_humidity"]
    nan = np.nan
    expected = [[20.1, 8.2, 1.3, 9.5, 65], [21, nan, nan, nan, nan], [22, 9, 0, 10, 60]]
    np.testing.assert_allclose(record.observations[columns].to_numpy(), expected)
    assert any("ELEVATION is unknown" in note for note in record.notes)


def test_elevations_come_from_a_list_in_feet(folder: Path, read: Callable[..., Any]) -> None:
    (folder / "CRND0103-2020-CA_X.txt").write_text(daily("20201231", 20.1, 8.2, 1.3, 9.5, 65) + "\n")
    (folder / "places.csv").write_text("WBAN,LATITUDE,LONGITUDE,ELEVATION\n53152,34.41,-119.88,100\n")
    station = {"id": "WBAN", "elevation_unit": "ft"}
    (record,) = read(stations="places.csv", station=station, format="uscrn").values()
    assert record.elevation_m == pytest.approx(30.48)


def test_hours_are_summed_to_days_that_end_with_the_pass(folder: Path, read: Callable[..., Any]) -> None:
    """An evening pass at 18:00 local (PST): day d is 18:00 to 18:00, by pandas' own resampling."""
    hours = pd.date_range("2022-01-01 01:00", "2022-01-05 20:00", freq="h")
    rain = pd.Series(np.arange(len(hours)) % 7 / 10, hours)
    lines = [hourly(stamp, 10 + stamp.hour / 2, round(float(amount), 1)) for stamp, amount in rain.items()]
    (folder / "CRNH0203-2022-CA_X.txt").write_text("\n".join(lines) + "\n")
    (record,) = read(hour=18).values()
    local = rain.set_axis(hours - pd.Timedelta(hours=8))
    expected = local.resample("D", closed="right", label="right", origin=pd.Timestamp("2022-01-01 18:00")).agg(
        ["sum", "count"]
    )
    whole = expected[expected["count"] == 24]["sum"]
    found = record.observations["precipitation"].dropna()
    assert [f"{day:%m-%d}" for day in found.index] == [f"{end:%m-%d}" for end in whole.index]
    np.testing.assert_allclose(found.to_numpy(), whole.to_numpy())
    assert record.observations.loc["2022-01-02", "max_temperature"] == 10 + 23 / 2 + 1
    # 24 hours of 100 W/m2: 8.64 MJ/m2
    np.testing.assert_allclose(record.observations["radiation"].dropna(), 8.64)
    morning = read(hour=6)["USW00053152"].observations
    # day d ends at 06:00 of the day after, but the coldest hour is that of the night before the image's own day
    first = local["2022-01-02 06:30":"2022-01-03 06:00"].sum()
    assert morning.loc["2022-01-02", "precipitation"] == pytest.approx(first)


def test_the_frost_of_a_morning_pass_is_that_of_its_own_night(folder: Path, read: Callable[..., Any]) -> None:
    """A pass at 06:12 of the 3rd: it froze at 05:00 of the 3rd; the mask asks for the least temperature of the 3rd."""
    hours = pd.date_range("2022-01-01 09:00", "2022-01-05 08:00", freq="h")
    frozen = pd.Timestamp("2022-01-03 13:00")  # 05:00 local
    lines = [hourly(stamp, -9 if stamp == frozen else 5, 0.0) for stamp in hours]
    (folder / "CRNH0203-2022-CA_X.txt").write_text("\n".join(lines) + "\n")
    coldest = read(hour=6)["USW00053152"].observations["min_temperature"]
    assert coldest.loc["2022-01-03"] == -10
    assert coldest.drop(pd.Timestamp("2022-01-03")).min() == 4


def test_flagged_hours_are_missing_and_few_are_scaled(folder: Path, read: Callable[..., Any]) -> None:
    hours = pd.date_range("2022-01-01 09:00", "2022-01-03 08:00", freq="h")  # two local days
    lines = [hourly(stamp, 10, 1.0, flag=3 if stamp.day == 1 else 0) for stamp in hours]
    del lines[30:32]
    (folder / "CRNH0203-2022-CA_X.txt").write_text("\n".join(lines) + "\n")
    (record,) = read().values()
    np.testing.assert_allclose(record.observations["precipitation"], [24, 24])  # 22 hours scaled
    assert np.isnan(record.observations["radiation"].iloc[0])
    assert any("1 days lack an hour or two" in note for note in record.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (daily("20201231", 20.1, 8.2, 1.3, 9.5, 65)[:60], "line 1: .* fields; daily01 has 28"),
        (daily("20201331", 20.1, 8.2, 1.3, 9.5, 65), "line 1: 20201331 is no time"),
        (2 * (daily("20201231", 20.1, 8.2, 1.3, 9.5, 65) + "\n"), "line 2: 20201231 is no time, or is there twice"),
    ],
)
def test_damage_is_named(folder: Path, read: Callable[..., Any], text: str, message: str) -> None:
    (folder / "CRND0103-2020-CA_X.txt").write_text(text + "\n")
    with pytest.raises(DataError, match=message):
        read()


def test_the_reference_network_of_2020_as_it_was_published(
    folder: Path, read: Callable[..., Any], shared: Path
) -> None:
    """Another package's reading of the same files: put back into their form, and read here."""
    table = pd.read_parquet(shared / "reference" / "uscrn_2020_daily.parquet").query("wban == '23583'")
    lines = []
    for row in table.fillna(-9999.0).itertuples():
        lines.append(
            f"23583 {row.lst_date:%Y%m%d} {row.crx_vn} {row.longitude} {row.latitude} {row.t_daily_max} "
            f"{row.t_daily_min} {row.t_daily_mean} {row.t_daily_avg} {row.p_daily_calc} {row.solarad_daily} C 0 0 0 "
            f"{row.rh_daily_max} {row.rh_daily_min} {row.rh_daily_avg} {SOIL}"
        )
    (folder / "CRND0103-2020-AK_X.txt").write_text("\n".join(lines) + "\n")
    (record,) = read(boxes=()).values()
    for ours, theirs in {
        "precipitation": "p_daily_calc",
        "max_temperature": "t_daily_max",
        "relative_humidity": "rh_daily_avg",
        "radiation": "solarad_daily",
    }.items():
        np.testing.assert_allclose(record.observations[ours].to_numpy(), table[theirs].to_numpy())
