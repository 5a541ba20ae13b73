import datetime as dt
import gzip
import logging
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mlssm.config.weather_source import WeatherSource
from mlssm.errors import DataError
from mlssm.grid import Bounds
from mlssm.sources.faults import OnBadFile
from mlssm.sources.weather.complete import EvapotranspirationDays
from mlssm.sources.weather.load import WeatherReport, load_weather
from mlssm.sources.weather.site import Site
from mlssm.weather.stations import VARIABLES, StationWeather
from mlssm.weather.windows import antecedent, window_end

HEADER = "STATION,DATE,LATITUDE,LONGITUDE,ELEVATION,PRCP,TMAX,TMIN,AWND,RHAV"


def load(folder: Path, on_bad_file: OnBadFile, boxes: tuple[Bounds, ...] = ()) -> tuple[StationWeather, WeatherReport]:
    return load_weather(folder.parent, WeatherSource(folder=folder.name), on_bad_file, Site(boxes))


def write(folder: Path, name: str, *days: str) -> None:
    lines = [f"{name},{day[:10]},34.4,-119.8,5,{day[11:]}" for day in days]
    (folder / f"{name}.csv").write_text("\n".join([HEADER, *lines]) + "\n")


def test_stations_share_the_union_of_their_days(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "B", "2020-01-04,30,200,100,,", "2020-01-02,10,200,100,20,50")
    write(tmp_path, "A", "2020-01-01,0,150,50,,")
    with caplog.at_level(logging.INFO):
        weather, report = load(tmp_path, "error")
    assert weather.ids == ("A", "B")
    np.testing.assert_array_equal(weather.days, np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]"))
    values = dict(zip(VARIABLES, weather.values.transpose(2, 1, 0), strict=True))
    nan = np.nan
    np.testing.assert_allclose(values["precipitation"], [[0, nan, nan, nan], [nan, 1, nan, 3]])
    np.testing.assert_allclose(values["temperature"], [[10, nan, nan, nan], [nan, 15, nan, 15]])
    np.testing.assert_allclose(values["vapour_pressure"][1], [nan, 1.705 / 2, nan, nan], atol=5e-4)
    np.testing.assert_allclose(values["wind"][1], [nan, 2, nan, nan])  # as measured
    assert list(np.isfinite(values["evapotranspiration"][1])) == [False, True, False, True]
    assert report.evapotranspiration == (EvapotranspirationDays("A", 0, 1, 0), EvapotranspirationDays("B", 0, 2, 1))
    assert (
        "B: evapotranspiration by FAO-56 (radiation from eq. 50) on 0 days, Hargreaves on 2, missing on 1"
        in caplog.messages
    )


def test_what_quality_rejects_is_missing_and_reported(tmp_path: Path) -> None:
    normal = [
        f"{dt.date(2020, 1, 1) + dt.timedelta(day)},{10 * (day % 5)},{200 + day % 3},100,20,50" for day in range(200)
    ]
    normal[100] = normal[100].replace(",200,100,", ",90,100,").replace(",201,100,", ",90,100,")
    normal[100] = normal[100].replace(",202,100,", ",90,100,")
    write(tmp_path, "A", *normal)
    weather, report = load(tmp_path, "error")
    assert report.quality[0].inverted == 2
    missing = [name for name, lost in zip(VARIABLES, np.isnan(weather.values[100, 0]), strict=True) if lost]
    assert missing == ["evapotranspiration", "temperature", "vapour_pressure", "snow_depth", "min_temperature"]


@pytest.mark.parametrize(("name", "message"), [("absent", "does not exist"), (".", r"no \*\.csv")])
def test_a_missing_or_empty_folder(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path / name, "skip")


def test_a_bad_file_stops_or_is_skipped_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "A", "2020-01-01,0,150,50,,")
    write(tmp_path, "B", "2020-01-01,x,150,50,,")
    with pytest.raises(DataError, match=r"B\.csv, line 2: PRCP 'x'"):
        load(tmp_path, "error")
    weather, report = load(tmp_path, "skip")
    assert weather.ids == ("A",)
    assert report.skipped == ("B.csv",)
    assert [line.levelno for line in caplog.records if "B.csv, line 2" in line.getMessage()] == [logging.WARNING]


def test_files_of_the_folder_itself_are_read_and_others_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "ABCD":
        write(tmp_path, name, "2020-01-01,0,150,50,,")
    (tmp_path / "B.csv").rename(tmp_path / "B.CSV")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress((tmp_path / "C.csv").read_bytes()))
    (tmp_path / "C.csv").unlink()
    (tmp_path / "more").mkdir()
    (tmp_path / "D.csv").rename(tmp_path / "more" / "D.csv")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "._A.csv").write_bytes(b"\0")
    weather, _ = load(tmp_path, "error")
    assert sorted(weather.ids) == ["A", "B", "C"]
    told = [line for line in caplog.messages if "are not used" in line]
    assert len(told) == 1
    assert "3 files are not used" in told[0]
    assert told[0].endswith("._A.csv, more/D.csv, notes.txt")


def test_every_kind_of_bad_file_can_be_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "A", "2020-01-01,0,150,50,,")
    good = (tmp_path / "A.csv").read_text()
    bad = {
        "empty": b"",
        "header": good.splitlines()[0].encode(),
        "zeros": good.replace("A,2020", "\0" * 6).encode(),
        "picture": b"\x89PNG\r\n\x1a\n\0",
        "short": good[:-12].encode(),
        "units": good.replace("150", "15.5").encode(),
        "place": good.replace("34.4", "34-24-36").encode(),
        "squeezed.csv.gz": b"\x1f\x8b\x08nothing",
    }
    for name, content in bad.items():
        (tmp_path / (name if "." in name else f"{name}.csv")).write_bytes(content)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to("nowhere")
    weather, report = load(tmp_path, "skip")
    assert weather.ids == ("A",)
    assert len(report.skipped) == len(bad) + 2
    for name in report.skipped:
        assert len([line for line in caplog.messages if "skipped a bad file" in line and name in line]) == 1


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "A", "2020-01-01,0,150,50,,")
    write(tmp_path, "B", "2020-01-01,0,150,50,,")
    (tmp_path / "B.csv").rename(tmp_path / os.fsdecode(b"caf\xe9.csv"))
    with pytest.raises(DataError, match=r"caf\\udce9\.csv has a name that is not UTF-8; rename it"):
        load(tmp_path, "error")
    assert load(tmp_path, "skip")[0].ids == ("A",)


def test_a_station_of_another_part_of_the_world_is_left_out_or_corrected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "A", "2020-01-01,0,150,50,,")
    far = (tmp_path / "A.csv").read_text().replace("A,2020", "B,2020").replace("34.4,-119.8", "48.1,11.5")
    (tmp_path / "B.csv").write_text(far)
    extent = ((-119.7, 34.5, -119.7, 34.5),)
    weather, _ = load(tmp_path, "error", extent)
    assert weather.ids == ("A",)
    assert any(
        "B.csv: at 48.1 N 11.5 E the station is" in line and "it is left out" in line for line in caplog.messages
    )
    (tmp_path / "A.csv").unlink()
    with pytest.raises(DataError, match="none of the 1 station files can be used, 0 are bad, 1 far away"):
        load(tmp_path, "error", extent)
    (tmp_path / "B.csv").write_text(far.replace("48.1,11.5", "34.4,119.8"))
    with pytest.raises(DataError, match="LONGITUDE's sign looks wrong"):
        load(tmp_path, "error", extent)


def test_what_was_moved_or_corrected_is_logged_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "A", "2020-01-02,9999,150,50,,", "2020-01-01,0,150,50,,")
    _, report = load(tmp_path, "error")
    assert report.notes == (
        "A: the lines are not in the order of days: sorted",
        "A: 1 values of PRCP are 9999, which stands for missing: left out",
    )
    assert sum("A.csv: " in line for line in caplog.messages) == 2


def test_hargreaves_is_brought_to_the_level_of_fao56(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two stations of the same days, one without humidity and wind: evapotranspiration sums to the same."""
    days = [
        f"{dt.date(2020, 6, 1) + dt.timedelta(day)},0,{250 + 7 * day % 40},{120 + 3 * day % 25}" for day in range(40)
    ]
    write(tmp_path, "A", *(f"{day},20,50" for day in days))
    write(tmp_path, "B", *(f"{day},," for day in days))
    with caplog.at_level(logging.INFO):
        weather, report = load(tmp_path, "error")
    assert report.calibration.days == 40
    assert report.calibration.factor != pytest.approx(1.0, abs=0.02)
    evapotranspiration = weather.values[:, :, VARIABLES.index("evapotranspiration")]
    assert evapotranspiration[:, 0].mean() == pytest.approx(evapotranspiration[:, 1].mean())
    assert any(line.startswith("Hargreaves is multiplied by") for line in caplog.messages)


def test_a_folder_of_bad_files_only_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "B", "2020-01-01,x,150,50,,")
    with pytest.raises(DataError, match="none of the 1 station files"):
        load(tmp_path, "skip")


def test_a_station_in_two_files_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "A", "2020-01-01,0,150,50,,")
    (tmp_path / "copy.csv").write_text((tmp_path / "A.csv").read_text())
    with pytest.raises(DataError, match=r"copy\.csv: station A is in another file too"):
        load(tmp_path, "error")


def acquisitions(shared: Path) -> list[dt.datetime]:
    """The images' acquisition in local time, from their names."""
    stamps = {path.name.split("_")[4] for path in (shared / "santa_barbara" / "sentinel1").glob("*292319*_VV.tif")}
    utc = [dt.datetime.strptime(stamp, "%Y%m%dT%H%M%S%z") for stamp in sorted(stamps)]
    return [time.astimezone(ZoneInfo("America/Los_Angeles")) for time in utc]


def test_santa_barbara_has_rain_for_all_images_and_no_wind_or_humidity_for_the_last_two(shared: Path) -> None:
    weather, report = load(shared / "santa_barbara" / "weather", "error")
    assert sum(quality.rejected for quality in report.quality) == 0
    ends = np.array([window_end(time) for time in acquisitions(shared)], "datetime64[D]")
    assert len(ends) == 22
    assert ends[-2:].astype(str).tolist() == ["2024-12-20", "2025-01-01"]  # 2024-12-21 and 2025-01-02 in UTC
    for lag in (1, 2, 3, 7, 15, 30):
        window = antecedent(weather, ends, lag, "aggregate", 0.8)[:, 0]
        known = dict(zip(VARIABLES, np.isfinite(window).any(axis=1).T, strict=True))
        assert known["precipitation"].all()
        for name in ("wind", "vapour_pressure"):
            assert known[name][:-2].all()
            assert not known[name][-2:].any()


def test_santa_barbara_rain_before_new_year_2023_is_that_in_the_file(shared: Path) -> None:
    folder = shared / "santa_barbara" / "weather"
    weather, _ = load(folder, "error")
    lines = (folder / "USW00053152.csv").read_text().splitlines()
    rain = {line.split(",")[1]: line.split('",')[1].split(",")[0] for line in lines[1:]}
    by_hand = sum(int(rain[day]) for day in ("2022-12-29", "2022-12-30", "2022-12-31")) / 10
    window = antecedent(weather, np.array(["2022-12-31"], "datetime64[D]"), 3, "aggregate", 1.0)
    assert by_hand > 0
    assert window[0, 0, weather.ids.index("USW00053152"), 0] == pytest.approx(by_hand)
