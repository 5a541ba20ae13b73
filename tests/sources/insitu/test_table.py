from pathlib import Path

import numpy as np
import pytest

from mlssm.errors import ConfigError, DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.insitu.read import read_ground
from mlssm.sources.insitu.table import read_table

SURFACE = (0.0, 0.05)
HEAD = "station,longitude,latitude,date,depth,soil_moisture,unit,flag"


def write(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def test_days_of_a_plain_table(tmp_path: Path, columns) -> None:
    path = write(
        tmp_path / "a.csv",
        *("A,-119.8,34.4,2021-01-02,0.05,0.25,m3/m3,G", "A,-119.8,34.4,2021-01-01,0.05,0.2,m3/m3,G"),
        *("A,-119.8,34.4,2021-01-03,0.05,0.3,m3/m3,D", "A,-119.8,34.4,2021-01-04,0.05,,m3/m3,G"),
        *("A,-119.8,34.4,2021-01-01,0.2,0.4,m3/m3,G", "B,-119.7,34.4,2021-01-01,0.05,-9999,m3/m3,G"),
    )
    a, b = read_ground(tmp_path, columns(), SURFACE, BadFiles("error"))
    assert (a.station, a.name, a.daily, a.refused) == ("A", "5 cm", True, 1)
    np.testing.assert_array_equal(a.times, np.arange("2021-01-01", "2021-01-05", dtype="datetime64[D]"))
    np.testing.assert_array_equal(a.moisture, [0.2, 0.25, np.nan, np.nan])
    assert b.station == "B"
    assert np.isnan(b.moisture).all()
    # flags that are not asked count for nothing
    (a, _) = read_table(path, columns(flag=None), SURFACE)
    np.testing.assert_array_equal(a.moisture, [0.2, 0.25, 0.3, np.nan])


def test_own_columns_units_depths_and_times(tmp_path: Path, columns) -> None:
    head = "id;".replace(";", ",") + "x,y,when,cm,vwc,probe,t"
    lines = ["1,-119.8,34.4,2021-01-01 06:00,5,22.5,a,-1.5", "1,-119.8,34.4,2021-01-01 06:00,5,30,b,4"]
    path = write(tmp_path / "a.csv", *lines, head=head)
    own = {"station": "id", "longitude": "x", "latitude": "y", "date": "when", "depth": "cm", "moisture": "vwc"}
    told = columns(**own, depth_unit="cm", units="%", flag=None, temperature="t", sensor="probe", time_zone="Etc/GMT+8")
    a, b = read_table(path, told, SURFACE)
    np.testing.assert_allclose([a.moisture[0], b.moisture[0]], [0.225, 0.3])
    assert (a.name, b.name, a.temperature[0]) == ("a", "b", -1.5)
    # local standard time is eight hours behind UTC there, and a zone that is written counts
    assert str(a.times[0]) == "2021-01-01T14:00:00"
    path.write_text(path.read_text().replace("2021-01-01 06:00", "2021-01-01T06:00Z"))
    assert str(read_table(path, told, SURFACE)[0].times[0]) == "2021-01-01T06:00:00"
    # a fixed depth for all
    assert read_table(path, columns(**{**dict(told), "depth": None, "depth_m": 0.03}), SURFACE)[0].depth == (0.03, 0.03)


@pytest.mark.parametrize(
    ("values", "unit", "units", "told"),
    [
        (("0.2", "0.3"), "", None, r"says ; write m3/m3 or %"),
        (("20", "30"), "m3/m3", None, r"runs from 20 to 30, which m3/m3 cannot; set csv.units=%"),
        (("0.2", "0.3"), "%", None, r"at most 0.3 % is too dry to be true; set csv.units=m3/m3"),
        (("0.2", "0.3"), "kg/m2", None, r"says kg/m2"),
        (("-0.2", "0.3"), "m3/m3", None, r"runs from -0.2 to 0.3"),
        (("20", "130"), "", "%", r"runs from 20 to 130, which % cannot"),
    ],
)
def test_units_are_never_guessed(tmp_path: Path, columns, values, unit, units, told) -> None:
    lines = [f"A,-119.8,34.4,2021-01-0{day},0.05,{value},{unit},G" for day, value in enumerate(values, 1)]
    path = write(tmp_path / "a.csv", *lines)
    with pytest.raises(ConfigError, match=told):
        read_table(path, columns(units=units), SURFACE)


def test_units_that_nothing_tells_are_asked_for(tmp_path: Path, columns) -> None:
    head = HEAD.replace(",unit", "")
    path = write(tmp_path / "a.csv", "A,-119.8,34.4,2021-01-01,0.05,0.2,G", head=head)
    with pytest.raises(ConfigError, match=r"runs from 0.2 to 0.2, and no column says its units; set csv.units=m3/m3"):
        read_table(path, columns(), SURFACE)
    assert read_table(path, columns(units="m3/m3"), SURFACE)[0].moisture[0] == 0.2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("A,-119.8,34.4,2021-13-01,0.05,0.2,m3/m3,G", r"line 3: '2021-13-01' is no day or time"),
        ("A,-119.8,34.4,2021-01-01,0.05,0.2,m3/m3,G", r"station A has 2021-01-01 twice at 0.05 m"),
        ("A,-119.7,34.4,2021-01-02,0.05,0.2,m3/m3,G", r"station A has several places"),
        ("A,-119.8,,2021-01-02,0.05,0.2,m3/m3,G", r"line 3: station, longitude, latitude"),
        ("A,-119.8,34.4,2021-01-02,0.05,wet,m3/m3,G", r"line 3: soil_moisture 'wet' is not a number"),
    ],
)
def test_a_wrong_line_is_told(tmp_path: Path, columns, line: str, told: str) -> None:
    path = write(tmp_path / "a.csv", "A,-119.8,34.4,2021-01-01,0.05,0.2,m3/m3,G", line)
    with pytest.raises(DataError, match=told):
        read_table(path, columns(), SURFACE)


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, columns) -> None:
    path = write(tmp_path / "a.csv", "A,-119.8,34.4,2021-01-01,0.05,0.2,m3/m3,G")
    with pytest.raises(ConfigError, match=r"csv.moisture=vwc is no column of a.csv; set it to one of station, long"):
        read_table(path, columns(moisture="vwc"), SURFACE)


def test_the_depth_is_told_once(columns) -> None:
    with pytest.raises(ConfigError, match=r"set one of csv.depth and csv.depth_m"):
        columns(depth_m=0.05)


def test_what_is_not_known_or_mixed_is_told(tmp_path: Path, columns) -> None:
    bad = BadFiles("error")
    with pytest.raises(ConfigError, match=r"is not there"):
        read_ground(tmp_path / "nowhere", columns(), SURFACE, bad)
    with pytest.raises(ConfigError, match=r"has nothing that is known"):
        read_ground(tmp_path, columns(), SURFACE, bad)
    write(tmp_path / "a.csv", "A,-119.8,34.4,2021-01-01,0.05,0.2,m3/m3,G")
    (tmp_path / "CRND0103-2020-CA_X.txt").write_text("")
    with pytest.raises(ConfigError, match=r"files of several kinds"):
        read_ground(tmp_path, columns(), SURFACE, bad)
