import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.points import PointSeries, read_points

HEADER = ",datetime,burst_id,site_id,site_lon,site_lat,vv,vh,vv/vh"


def row(time: str = "2021-03-01 13:00:00", vv: str = "[0.1, 0.2]", vh: str = "[0.02, 0.03]", **changes: Any) -> str:
    known = {"burst": "T027-056738-IW1", "site": 115, "lon": -111.3, "lat": 30.8} | changes
    return f'0,{time},{known["burst"]},{known["site"]},{known["lon"]},{known["lat"]},"{vv}","{vh}","[5, 6]"'


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read_rows(*rows: str, units: Any = "linear", header: str = HEADER, policy: Any = "error") -> list[PointSeries]:
        (tmp_path / "a.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return list(read_points(tmp_path, units, BadFiles(policy)))

    return read_rows


def test_a_series_is_read_as_it_is_written(read: Any) -> None:
    (found,) = read(row(), row("2021-03-13 13:00:00", "[0.3, nan]", "[-0.001, NaN]"))
    assert (found.site, found.burst, found.track) == ("115", "T027-056738-IW1", "027")
    assert (found.longitude, found.latitude) == (-111.3, 30.8)
    assert [str(time) for time in found.times] == ["2021-03-01T13:00:00", "2021-03-13T13:00:00"]
    np.testing.assert_array_equal(found.power["VV"], [[0.1, 0.2], [0.3, np.nan]])
    np.testing.assert_array_equal(found.power["VH"], [[0.02, 0.03], [-0.001, np.nan]])


def test_lines_without_order_are_sorted_and_a_second_copy_is_left_out(read: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    later = row("2021-03-13 13:00:00", "[0.3, 0.4]")
    (found,) = read(later, row(), later)
    np.testing.assert_array_equal(found.power["VV"], [[0.1, 0.2], [0.3, 0.4]])
    assert "not in the order of time; sorted" in caplog.text
    assert "1 rows are there twice" in caplog.text


def test_times_with_a_zone_become_utc_and_are_not_mixed_with_others(read: Any) -> None:
    (found,) = read(row("2021-03-01T02:00:00+02:00"), row("2021-03-02T00:00:00Z"))
    assert [str(time) for time in found.times] == ["2021-03-01T00:00:00", "2021-03-02T00:00:00"]
    with pytest.raises(DataError, match="line 3: some times have a time zone and others have none"):
        read(row("2021-03-01T02:00:00Z"), row("2021-03-02 00:00:00"))


def test_rows_of_another_size_or_without_a_value_are_left_out_and_told(read: Any, caplog: Any) -> None:
    days = [f"2021-03-{day:02d} 13:00:00" for day in range(1, 6)]
    odd = [row(days[2], "[0.1]"), row(days[3], "[0.1, 0.2, 0.3]", "[0.1, 0.2, 0.3]"), row(days[4], *["[nan, nan]"] * 2)]
    (found,) = read(row(days[0]), row(days[1]), *odd)
    assert len(found.times) == 2
    assert "2 rows do not have 2 pixels in each of VV, VH: left out" in caplog.text
    assert "1 rows have no value in any pixel: left out" in caplog.text


def test_a_polarisation_without_a_value_is_left_out_and_told(read: Any, caplog: Any) -> None:
    (found,) = read(row(vh="[nan, null]"))
    assert [*found.power] == ["VV"]
    assert "no pixel has a value in VH: it is left out" in caplog.text


def test_a_missing_list_is_one_of_missing_values(read: Any, caplog: Any) -> None:
    (found,) = read(row(vh=""), row("2021-03-13 13:00:00"), row("2021-03-25 13:00:00", "nan", "None"))
    np.testing.assert_array_equal(found.power["VH"], [[np.nan, np.nan], [0.02, 0.03]])
    assert "1 rows have no value in any pixel: left out" in caplog.text
    (found,) = read(row(vh=""), row("2021-03-13 13:00:00", vh="nan"))
    assert [*found.power] == ["VV"]
    assert "no pixel has a value in VH: it is left out" in caplog.text


def test_a_series_without_values_does_not_stop_the_others_of_its_table(read: Any, caplog: Any) -> None:
    nothing = [row(site=7, vv="[nan, nan]", vh="[nan, nan]"), row(site=8, vv="", vh="")]
    (found,) = read(row(), *nothing)
    assert found.site == "115"
    assert "site 7, burst T027-056738-IW1: no pixel has a value in VV, VH" in caplog.text
    assert "site 8, burst T027-056738-IW1: no pixel has a value in VV, VH" in caplog.text


def test_a_value_of_exactly_0_is_missing_and_told(read: Any, caplog: Any) -> None:
    (found,) = read(row(vv="[0, 0.2]"), row("2021-03-13 13:00:00", "[0.0, 0.0]", "[0, 0]"))
    np.testing.assert_array_equal(found.power["VV"], [[np.nan, 0.2]])
    assert "3 values of VV are exactly 0, and taken as missing" in caplog.text
    (found,) = read(row(vv="[-10, 0]", vh="[-20, -20]"), units="dB")
    np.testing.assert_allclose(found.power["VV"], [[0.1, np.nan]])


@pytest.mark.parametrize("burst", ["T027-056738-IW1", "t027_056738_iw1", "027_056738_IW1"])
def test_the_track_is_read_from_names_of_opera_and_asf(read: Any, burst: str) -> None:
    (found,) = read(row(burst=burst))
    assert found.track == "027"


def test_decibels_become_power(read: Any) -> None:
    (found,) = read(row(vv="[-10, -20]", vh="[-20, -30]"), units="dB")
    np.testing.assert_allclose(found.power["VV"], [[0.1, 0.01]])


@pytest.mark.parametrize(
    ("rows", "told"),
    {
        "dB": ([row(vv="[-10, -12]")], {}, r"vv of -11 is no linear power .*units=dB"),
        "a missing value as a number": ([row(vv="[0.1, 9999]")], {}, "vv of 9999 is no linear power .* NaN"),
        "power": ([row()], {"units": "dB"}, "which are no dB; .*units=linear"),
        "no list": ([row(vv="0.1 0.2")], {}, "line 2: vv is no list of numbers"),
        "infinite": ([row(vv="[0.1, Infinity]")], {}, "line 2: vv is no list of numbers"),
        "no time": ([row("yesterday")], {}, "line 2: datetime 'yesterday'"),
        "two values at a time": (
            [row(), row(vv="[0.2, 0.2]")],
            {},
            "two rows of 2021-03-01 13:00:00",
        ),
        "another place": ([row(), row("2021-03-02", lon=-110)], {}, "site_lon is not one number"),
        "no degrees": ([row(lat=120)], {}, "site_lat is not one number of degrees within -90..90"),
        "two places of one name": ([row(), row(burst="T100-1-IW1", lon=10)], {}, "site 115 lies 121.300 degrees apart"),
        "no site": ([row()], {"header": HEADER.replace("site_id", "place")}, "lacks column site_id"),
        "no backscatter": ([row()], {"header": HEADER.replace("vv,vh", "a,b")}, "no column of backscatter"),
        "no row": ([], {}, "has a header and no row; remove it"),
        "nothing at all": ([row(vv="[nan, nan]", vh="[nan, nan]")], {}, "no value in any pixel"),
    }.items(),
)
def test_what_is_wrong_is_refused_with_its_place(read: Any, rows: str, told: Any) -> None:
    lines, settings, message = told
    with pytest.raises(DataError, match=message):
        read(*lines, **settings)


def test_a_bad_table_is_left_out_where_that_was_asked_for(read: Any, tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "b.csv").write_text(f"{HEADER}\n{row(vv='nothing')}\n", encoding="utf-8")
    (found,) = read(row(), policy="skip")
    assert found.site == "115"
    assert "skipped a bad file" in caplog.text
    (tmp_path / "b.csv").write_text(f"{HEADER}\n{row()}\n", encoding="utf-8")
    with pytest.raises(DataError, match="site 115 and burst T027-056738-IW1 are in two tables"):
        read(row())


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no CSV in"):
        read_points(tmp_path, "linear", BadFiles("error"))


def test_tables_may_lie_in_folders_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("\n".join([HEADER, row()]) + "\n", encoding="utf-8")
    (found,) = read_points(tmp_path, "linear", BadFiles("error"))
    assert found.site == "115"


def test_the_real_tables_are_read(shared: Path) -> None:
    folder = shared / "opera_points" / "tables"
    if not folder.is_dir():
        pytest.skip("no opera_points beside the checkout")
    found = read_points(folder, "linear", BadFiles("error"))
    assert len(found) == 54
    assert len({series.site for series in found}) == 30
    assert all((np.diff(series.times) > np.timedelta64(0, "s")).all() for series in found)
    assert {series.power["VV"].shape[1] for series in found} == {9}
