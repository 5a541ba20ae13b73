from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.weather.ghcn import read_station

HEADER = "STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,NAME,PRCP,TMAX,TMIN"
FIRST = 'USW00000001,2020-02-28,34.5,-119.5,12.5,"A TOWN, CA US",13,205,-11'


def write(folder: Path, *lines: str) -> Path:
    path = folder / "station.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_units_places_and_gaps(tmp_path: Path) -> None:
    record = read_station(
        write(
            tmp_path,
            HEADER + ",AWND,RHAV,SNWD",
            FIRST + ",21,79,0",
            'USW00000001,2020-03-02,34.5,-119.5,12.5,"A TOWN, CA US",   -9999,,  100,5,,30',
        )
    )
    assert (record.id, record.latitude, record.longitude, record.elevation_m) == ("USW00000001", 34.5, -119.5, 12.5)
    assert list(record.observations.index) == list(pd.date_range("2020-02-28", "2020-03-02"))
    nan = np.nan
    expected = [
        [1.3, 20.5, -1.1, 2.1, 79, 0],
        [nan] * 6,
        [nan] * 6,
        [nan, nan, 10.0, 0.5, nan, 30],
    ]
    np.testing.assert_allclose(record.observations.to_numpy(), expected)


def test_optional_columns_may_be_absent(tmp_path: Path) -> None:
    record = read_station(write(tmp_path, HEADER, FIRST))
    assert record.observations[["wind", "relative_humidity", "snow_depth"]].isna().all(axis=None)


def test_unknown_elevation_is_nan(tmp_path: Path) -> None:
    assert np.isnan(read_station(write(tmp_path, HEADER, FIRST.replace("12.5", "-999.9"))).elevation_m)


def test_a_quality_flag_rejects_its_value_and_is_counted(tmp_path: Path) -> None:
    header = "STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP,PRCP_ATTRIBUTES,TMAX,TMAX_ATTRIBUTES,TMIN,TMIN_ATTRIBUTES"
    record = read_station(
        write(
            tmp_path,
            header,
            'S,2020-01-01,1,2,3,10,",,W",100,",S,W,2400",50,"T,,W"',
            'S,2020-01-02,1,2,3,20,",O,W",110,"H,,S",,",I,S"',
            "S,2020-01-03,1,2,3,30,,120,,60,",
        )
    )
    assert record.flagged == 2  # the empty TMIN has a flag and no value to reject
    np.testing.assert_allclose(record.observations["precipitation"], [1, np.nan, 3])
    np.testing.assert_allclose(record.observations["max_temperature"], [np.nan, 11, 12])
    np.testing.assert_allclose(record.observations["min_temperature"], [5, np.nan, 6])


@pytest.mark.parametrize("column", ["STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION", "PRCP"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(DataError, match=f"station.csv: column {column} is missing"):
        read_station(write(tmp_path, HEADER.replace(column, "X"), FIRST))


def test_a_gauge_without_temperature_is_read_and_told(tmp_path: Path) -> None:
    record = read_station(write(tmp_path, HEADER.replace("TMAX", "SNOW").replace(",TMIN", ",WT01"), FIRST))
    assert record.observations["precipitation"].tolist() == [1.3]
    assert record.observations[["max_temperature", "min_temperature"]].isna().all(axis=None)
    assert record.notes == ("the file has no TMAX and no TMIN: no evapotranspiration from this station",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([FIRST, FIRST], "line 3: DATE 2020-02-28 is there twice"),
        ([FIRST, FIRST.replace("02-28", "02-30")], "line 3: DATE '2020-02-30' is not a date"),
        ([FIRST, "", FIRST.replace("02-28,", "02-29,").replace("205", "2O5")], "line 4: TMAX '2O5' is not a number"),
        ([FIRST, FIRST.replace("USW00000001,2020-02-28", "B,2020-02-29")], "STATION is 'USW00000001', 'B'"),
        ([FIRST.replace("34.5", "34-30-00N")], "line 2: LATITUDE '34-30-00N' is not a number; write decimal degrees"),
        (
            [FIRST.replace("-119.5", "119.5 W")],
            "line 2: LONGITUDE '119.5 W' is not a number; write decimal degrees, west",
        ),
        ([FIRST.replace("34.5", "134.5")], "LATITUDE 134.5 is not in -90..90"),
        ([FIRST.replace("34.5", "")], "LATITUDE nan is not in -90..90"),
        ([], "no day in the file"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=f"station.csv.*{message}"):
        read_station(write(tmp_path, HEADER, *lines))


def days_of(*rows: str, header: str = "PRCP,PRCP_ATTRIBUTES,TMAX,TMIN", first: str = "2021-10-01") -> list[str]:
    """A file whose rows are given from PRCP on, a day each."""
    dates = pd.date_range(first, periods=len(rows)).strftime("%Y-%m-%d")
    head = f"STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,{header}"
    return [head, *(f"S,{date},34,-119,3,{row}" for date, row in zip(dates, rows, strict=True))]


def test_values_with_decimals_are_of_another_unit(tmp_path: Path) -> None:
    """NOAA's access service with units=metric or standard: the same columns, in mm and degC or inches and degF."""
    metric = days_of("0.0,20.1,8.0", "12.7,20.5,8.5", header="PRCP,TMAX,TMIN")
    with pytest.raises(
        DataError, match=r"units of PRCP look wrong: 1 values have decimals, e\.g\. 12\.7 in line 3; .*units="
    ):
        read_station(write(tmp_path, *metric))
    inches = days_of("0.00,68,46", "0.12,70,47", header="PRCP,TMAX,TMIN")
    with pytest.raises(DataError, match=r"units of PRCP look wrong: 1 values have decimals, e\.g\. 0\.12 in line 3"):
        read_station(write(tmp_path, *inches))
    saved_again = days_of("0.0,201.0,80.0", "127.0,205.0,85.0", header="PRCP,TMAX,TMIN")
    np.testing.assert_allclose(read_station(write(tmp_path, *saved_again)).observations["precipitation"], [0, 12.7])


def test_codes_for_missing_are_left_out_and_told(tmp_path: Path) -> None:
    record = read_station(
        write(tmp_path, *days_of("9999,200,80", "12,999,-999", "99.99,200,80", header="PRCP,TMAX,TMIN"))
    )
    np.testing.assert_allclose(record.observations["precipitation"], [np.nan, 1.2, np.nan])
    np.testing.assert_allclose(record.observations["max_temperature"], [20, np.nan, 20])
    assert record.notes == (
        "2 values of PRCP are 99.99, 9999, which stands for missing: left out",
        "1 values of TMAX are 999, which stands for missing: left out",
        "1 values of TMIN are -999, which stands for missing: left out",
    )


def test_rain_observed_in_the_morning_is_of_the_day_before(tmp_path: Path) -> None:
    rows = ('10,",,7,0700",200,80', '20,",,7,0800",201,81', '30,",,W,2400",202,82')
    record = read_station(write(tmp_path, *days_of(*rows)))
    assert list(record.observations.index.strftime("%d")) == ["30", "01", "02", "03"]
    np.testing.assert_allclose(record.observations["precipitation"], [1, 2, np.nan, 3])
    np.testing.assert_allclose(record.observations["max_temperature"], [np.nan, 20, 20.1, 20.2])  # as NOAA dates it
    assert record.notes == (
        "rain of 2 days was observed at 07:00 and 08:00, so that most of it fell on the day before: dated by that day",
    )


def test_totals_of_several_days_are_no_days_rain(tmp_path: Path) -> None:
    rows = ("5,,,200,80", "0,,,200,80", "120,120,2,200,80", "6,,,200,80")
    record = read_station(write(tmp_path, *days_of(*rows, header="PRCP,MDPR,DAPR,TMAX,TMIN")))
    np.testing.assert_allclose(record.observations["precipitation"], [0.5, np.nan, np.nan, 0.6])
    assert record.notes == ("rain of 2 days is known as totals of several days: left out, 2 values",)


def test_lines_in_any_order_and_dates_in_another_form_are_told(tmp_path: Path) -> None:
    header, first, second = days_of("5,200,80", "7,201,81", header="PRCP,TMAX,TMIN")
    written = [line.replace("2021-10-", "202110") for line in (second, first)]
    record = read_station(write(tmp_path, header.lower(), *written))
    np.testing.assert_allclose(record.observations["precipitation"], [0.5, 0.7])
    assert record.notes == ("DATE is written YYYYMMDD", "the lines are not in the order of days: sorted")


def test_a_longitude_that_counts_all_round_and_an_empty_elevation(tmp_path: Path) -> None:
    record = read_station(write(tmp_path, HEADER, FIRST.replace("-119.5,12.5", "240.5,")))
    assert record.longitude == pytest.approx(-119.5)
    assert np.isnan(record.elevation_m)
    assert len(record.notes) == 2


def test_noaas_file_as_it_is_downloaded(tmp_path: Path) -> None:
    """The access folder's form: all quoted, padded, many elements, attributes beside each."""
    path = tmp_path / "station.csv"
    names = "PRCP,PRCP_ATTRIBUTES,SNWD,SNWD_ATTRIBUTES,TMAX,TMAX_ATTRIBUTES,TMIN,TMIN_ATTRIBUTES,WT01,WT01_ATTRIBUTES"
    head = ["STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION", "NAME", *names.split(",")]
    row = ["USC00047902", "2021-10-01", "34.4167", "-119.6844", "1.5", "SANTA BARBARA, CA US", "    0", "T,,7,1600"]
    row += ["    0", ",,7", "  217", ",,7,1600", "  128", ",,7,1600", "", ""]
    path.write_text("\n".join(",".join(f'"{field}"' for field in line) for line in (head, row)) + "\n")
    record = read_station(path)
    np.testing.assert_allclose(record.observations.to_numpy(), [[0, 21.7, 12.8, np.nan, np.nan, 0]])
    assert record.notes == ()


DAMAGE = {
    "a run of zeros": lambda text: text.replace("DATE,LATITUDE", "\0" * 13, 1),
    "a byte of the first line's quote": lambda text: text.replace('US",13', "US\x02,13", 1),
    "a separator in a date": lambda text: text.replace("2020-02", "2020,02", 1),
    "a quote lost": lambda text: text.replace('US",13', "US,13", 1),
    "cut off in a line": lambda text: text[:-9],
    "two files in one": lambda text: text + text,
    "a lost byte of the name": lambda text: text.replace("STATION", "STATIO", 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_an_error_that_names_the_file(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path, HEADER, FIRST, FIRST.replace("02-28", "02-29"))
    path.write_text(DAMAGE[damage](path.read_text()))
    with pytest.raises(DataError, match=r"station\.csv"):
        read_station(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01,\n", b'a,"b\n'])
def test_a_file_that_is_no_csv_is_named(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "station.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"station\.csv"):
        read_station(path)


def year(temperatures: np.ndarray) -> list[str]:
    days = pd.date_range("2020-01-01", periods=len(temperatures))
    return [f"S,{day:%Y-%m-%d},1,2,3,,0,{value:.0f},-100" for day, value in zip(days, temperatures, strict=True)]


def test_temperatures_in_fahrenheit_are_found_out(tmp_path: Path) -> None:
    tenths_of_fahrenheit = 600 + 200 * np.sin(np.arange(366) / 60)
    with pytest.raises(DataError, match=r"units of TMAX look wrong.*e\.g\. 6\d\d.*tenths of degC in -894\.\.577"):
        read_station(write(tmp_path, HEADER, *year(tenths_of_fahrenheit)))


@pytest.mark.parametrize(("wrong", "refused"), [(3, False), (4, True)])
def test_up_to_one_per_cent_of_impossible_values_are_left_to_the_quality_checks(
    tmp_path: Path, wrong: int, refused: bool
) -> None:
    values = np.full(300, 200.0)
    values[:wrong] = 900
    path = write(tmp_path, HEADER, *year(values))
    if refused:
        with pytest.raises(DataError, match="units of TMAX look wrong: 4 of 300"):
            read_station(path)
    else:
        assert (read_station(path).observations["max_temperature"] > 57.7).sum() == wrong
