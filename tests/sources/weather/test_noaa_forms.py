"""The forms in which NOAA gives GHCN-Daily besides by-station files."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError

HEADER = "STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,NAME,PRCP,PRCP_ATTRIBUTES,TMAX,TMIN,AWND,SNWD"
AT = "34.45,-119.75,12,TOWN"


def access(folder: Path, *rows: str, header: str = HEADER) -> None:
    (folder / "access.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.parametrize(
    ("units", "values"),
    [
        (None, '127,",,W,2400",205,-11,21,254'),
        ("metric", '12.7,",,W,2400",20.5,-1.1,2.1,254'),
        ("standard", '0.50,",,W,2400",68.9,30.02,4.69757,10.0'),
    ],
)
def test_units_of_the_access_service_are_as_declared(
    folder: Path, read: Callable[..., Any], units: str | None, values: str
) -> None:
    access(folder, f"USW00000001,2022-01-01,{AT},{values}", f"USW00000002,2022-01-01,{AT},{values}")
    found = read(format="access", units=units)
    assert sorted(found) == ["USW00000001", "USW00000002"]
    expected = [12.7, 20.5, -1.1, 2.1, np.nan, 254]
    np.testing.assert_allclose(found["USW00000002"].observations.iloc[0].to_numpy(), expected, rtol=1e-5)


def test_undeclared_units_are_refused_and_never_guessed(folder: Path, read: Callable[..., Any]) -> None:
    access(folder, f'USW00000001,2022-01-01,{AT},0.50,",,W,2400",68.9,30.0,4.7,10.0')
    with pytest.raises(DataError, match=r"units of PRCP look wrong.*set datamodule\.weather\.units"):
        read()


def test_units_that_are_declared_wrongly_are_found_out(folder: Path, read: Callable[..., Any]) -> None:
    days = pd.date_range("2021-01-01", periods=300).strftime("%Y-%m-%d")
    rows = [
        f'USW00000001,{day},{AT},{n % 9 * 0.1:.2f},",,W",{68 + n % 9},{46 + n % 5},5,0' for n, day in enumerate(days)
    ]
    access(folder, *rows)
    assert read(units="standard")["USW00000001"].observations["max_temperature"].max() == pytest.approx(
        76 / 1.8 - 160 / 9
    )
    with pytest.raises(DataError, match=r"units of .*correct datamodule\.weather\.units=metric|impossible"):
        read(units="metric")


def test_a_header_states_units(folder: Path, read: Callable[..., Any]) -> None:
    header = "STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,NAME,PRCP (Inches),TMAX (Degrees Fahrenheit),TMIN (F)"
    access(folder, f"USW00000001,2022-01-01,{AT},1.00,50,32", header=header)
    (record,) = read().values()
    np.testing.assert_allclose(record.observations.iloc[0, :3].to_numpy(float), [25.4, 10, 0], atol=1e-9)
    assert "the header states standard units" in record.notes
    with pytest.raises(DataError, match=r"PRCP in 'inches', which is standard, and datamodule\.weather\.units=metric"):
        read(units="metric")


TOTALS = "STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP,MDPR,MDPR_ATTRIBUTES,DAPR"


@pytest.mark.parametrize(
    ("hour", "flag", "expected"),
    [
        ("", "", [0.5, 4, 4, 4, 0.6]),  # 12 mm over the three days to the 4th
        ("0700", "", [4, 4, 4, np.nan, 0.6]),  # read in the morning of the 4th: of the 1st to the 3rd; the 1st has rain
        ("", "I", [0.5, np.nan, np.nan, np.nan, 0.6]),
    ],
)
def test_totals_are_spread_over_their_days(
    folder: Path, read: Callable[..., Any], hour: str, flag: str, expected: list[float]
) -> None:
    rows = ["5,,,", ",,,", ",,,", f',120,",{flag},7,{hour}",3', "6,,,"]
    lines = [f"USW00000001,2022-01-0{day},34.45,-119.75,12,{row}" for day, row in enumerate(rows, 1)]
    (folder / "s.csv").write_text("\n".join([TOTALS, *lines]) + "\n")
    rain = read(totals="spread")["USW00000001"].observations["precipitation"]
    if hour:
        expected = [0.5, *expected[1:]]  # a day with rain of its own keeps it
    np.testing.assert_allclose(rain.loc["2022-01-01":].to_numpy(), expected)
    dropped = read()["USW00000001"]
    np.testing.assert_allclose(dropped.observations["precipitation"].to_numpy(), [0.5, np.nan, np.nan, np.nan, 0.6])


def test_volunteers_without_an_hour_are_warned_of_or_moved(folder: Path, read: Callable[..., Any]) -> None:
    head = "STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP"
    rows = [f"US1CASB0001,2022-01-0{day},34.45,-119.75,12,{10 * day}" for day in (2, 3)]
    (folder / "s.csv").write_text("\n".join([head, *rows]) + "\n")
    (record,) = read().values()
    assert any("2 days has no hour of observation" in note and "observation_hour=7" in note for note in record.notes)
    assert record.observations["precipitation"].tolist() == [2, 3]
    (moved,) = read(observation_hour=7).values()
    np.testing.assert_allclose(moved.observations["precipitation"].loc["2022-01-01":"2022-01-02"], [2, 3])


STATIONS = (
    "USC00000001  34.4500 -119.7500   12.0 CA NEAR                                   \n"
    "USW00000002  34.5000 -119.7000 -999.9 CA NO HEIGHT                              \n"
    "GM000000003  50.0000    8.0000  100.0    FRANKFURT                  GSN     12345\n"
)


def by_year(folder: Path) -> None:
    (folder / "ghcnd-stations.txt").write_text(STATIONS)
    lines = [
        "USC00000001,20220101,PRCP,0,T,,7,0700",
        "USC00000001,20220102,PRCP,127,,,7,0700",
        "USC00000001,20220102,TMAX,205,,,7,0700",
        "USC00000001,20220102,TMIN,105,,I,7,0700",
        "USW00000002,20220101,PRCP,50,,,W,2400",
        "USW00000002,20220102,PRCP,999,,G,W,2400",
        "USW00000002,20220102,TAVG,999,,,W,2400",
        "GM000000003,20220101,PRCP,33,,,E,",
    ]
    (folder / "2022.csv.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def test_by_year_files_are_read_near_the_area(folder: Path, read: Callable[..., Any]) -> None:
    by_year(folder)
    found = read()
    assert sorted(found) == ["USC00000001", "USW00000002"]
    volunteer, airport = found["USC00000001"], found["USW00000002"]
    assert (volunteer.latitude, volunteer.longitude, volunteer.elevation_m) == (34.45, -119.75, 12)
    assert np.isnan(airport.elevation_m)
    # read at 07:00: of the day before
    rain = volunteer.observations["precipitation"]
    np.testing.assert_allclose(rain.loc["2021-12-31":"2022-01-01"], [0, 12.7])
    assert volunteer.observations["max_temperature"].loc["2022-01-02"] == 20.5
    np.testing.assert_allclose(airport.observations["precipitation"], [5, np.nan])
    assert airport.flagged == 1


def test_by_year_files_want_places_and_each_value_once(folder: Path, read: Callable[..., Any]) -> None:
    by_year(folder)
    (folder / "again.csv").write_text("USC00000001,20220102,PRCP,128,,,7,0700\n")
    with pytest.raises(DataError, match="PRCP of 20220102 is there twice"):
        read()
    (folder / "again.csv").write_text("USC00000001,20230102,PRCP,128,,,7,0700\nUSC00000001,20230103,PRCP,12\n")
    with pytest.raises(DataError, match=r"again\.csv: its last line has not 8 fields: cut off"):
        read()
    (folder / "ghcnd-stations.txt").unlink()
    with pytest.raises(DataError, match=r"by-year files have no places; put NOAA's ghcnd-stations\.txt"):
        read()
