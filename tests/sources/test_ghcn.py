from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.ghcn import read_station

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


@pytest.mark.parametrize("column", ["STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION", "PRCP", "TMAX", "TMIN"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(DataError, match=f"station.csv: column {column} is missing"):
        read_station(write(tmp_path, HEADER.replace(column, "X"), FIRST))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([FIRST, FIRST], "line 3: DATE 2020-02-28 is there twice"),
        ([FIRST, FIRST.replace("02-28", "02-30")], "line 3: DATE '2020-02-30' is not a date"),
        ([FIRST, "", FIRST.replace("02-28,", "02-29,").replace("205", "2O5")], "line 4: TMAX '2O5' is not a number"),
        ([FIRST, FIRST.replace("USW00000001,2020-02-28", "B,2020-02-29")], "STATION is 'USW00000001', 'B'"),
        ([FIRST.replace("34.5", "134.5")], "LATITUDE 134.5 is not in -90..90"),
        ([FIRST.replace("34.5", "")], "LATITUDE nan is not in -90..90"),
        ([], "no day in the file"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=f"station.csv.*{message}"):
        read_station(write(tmp_path, HEADER, *lines))


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
