from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import ConfigError, DataError

RAIN = {"precipitation": {"column": "rain", "unit": "mm"}}
AT = {"latitude": 34.45, "longitude": -119.75, "elevation": 12}
TIME = {"columns": ["time"]}


def write(folder: Path, text: str, name: str = "gauge.csv", encoding: str = "utf-8") -> None:
    (folder / name).write_bytes(text.encode(encoding))


@pytest.mark.parametrize(
    ("quantity", "unit", "number", "value"),
    [
        ("precipitation", "in", 1, 25.4),
        ("precipitation", "cm", 2.5, 25),
        ("precipitation", "inches", 0.01, 0.254),
        ("precipitation", "kg m-2", 3, 3),
        ("precipitation", "tenths of mm", 12, 1.2),
        ("max_temperature", "degF", 68, 20),
        ("max_temperature", "K", 293.15, 20),
        ("min_temperature", "°C", -3.5, -3.5),
        ("wind", "km/h", 36, 10),
        ("wind", "mph", 10, 4.4704),
        ("wind", "knots", 10, 5.144444),
        ("relative_humidity", "fraction", 0.5, 50),
        ("vapour_pressure", "hPa", 12.3, 1.23),
        ("radiation", "W/m^2", 250, 21.6),  # for a day of 86,400 s
        ("radiation", "kWh/m²", 5, 18),
        ("radiation", "J m**-2", 1.5e7, 15),
        ("snow_depth", "in", 10, 254),
    ],
)
def test_units_by_published_factors(
    folder: Path, read: Callable[..., Any], quantity: str, unit: str, number: float, value: float
) -> None:
    write(folder, f"Date,X\n2022-01-01,{number}\n2022-01-02,\n")
    (record,) = read(format="csv", columns={quantity: {"column": "x", "unit": unit}}, station=AT).values()
    np.testing.assert_allclose(record.observations[quantity].to_numpy(), [value, np.nan], rtol=1e-6)


def test_an_unknown_unit_is_refused_with_those_that_are_known(folder: Path, read: Callable[..., Any]) -> None:
    write(folder, "Date,rain\n2022-01-01,1\n")
    with pytest.raises(
        DataError, match=r"columns\.precipitation: unit 'buckets' is none of precipitation; known are mm"
    ):
        read(format="csv", columns={"precipitation": {"column": "rain", "unit": "buckets"}}, station=AT)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
def test_german_tables(folder: Path, read: Callable[..., Any], encoding: str) -> None:
    """Semicolons, decimal commas, days as DD.MM.YYYY, two stations, an umlaut in any encoding."""
    text = "Station;Tag;Höhe;Lat;Lon;Regen\nA;13.01.2022;120,5;34,5;-119,7;12,5\nA;14.01.2022;120,5;34,5;-119,7;Spur\n"
    text = text.replace("Spur", "T") + "B;13.01.2022;7;34,4;-119,8;0,0\n"
    write(folder, text, encoding=encoding)
    station = {"latitude": "Lat", "longitude": "Lon", "elevation": "Höhe"}
    columns = {"precipitation": {"column": "Regen", "unit": "mm"}}
    found = read(format="csv", columns=columns, station=station, time={"columns": ["Tag"]})
    np.testing.assert_allclose(found["A"].observations["precipitation"], [12.5, 0])
    assert (found["A"].elevation_m, found["B"].elevation_m, found["B"].longitude) == (120.5, 7, -119.8)
    assert any("1 values of Regen are traces: they count as 0" in note for note in found["A"].notes)


def test_codes_for_missing_and_lines_that_are_there_twice(folder: Path, read: Callable[..., Any]) -> None:
    write(folder, "date,rain\n2022-01-03,-999\n2022-01-01,7777\n2022-01-02,5\n2022-01-02,5\n")
    (record,) = read(format="csv", columns=RAIN, station=AT, missing=[7777]).values()
    np.testing.assert_allclose(record.observations["precipitation"], [np.nan, 5, np.nan])
    notes = " ".join(record.notes)
    assert "1 lines are there twice: read once" in notes
    assert "sorted" in notes
    assert "1 values of rain are -999" in notes
    write(folder, "date,rain\n2022-01-02,5\n2022-01-02,6\n")
    with pytest.raises(DataError, match=r"line 3: gauge has two lines of 2022-01-02 .* that differ"):
        read(format="csv", columns=RAIN, station=AT)


def hourly(zone: str, times: list[str], **time: Any) -> dict[str, Any]:
    return {"format": "csv", "columns": RAIN, "station": AT, "time": TIME | {"zone": zone} | time}


@pytest.mark.parametrize(
    ("zone", "form", "shift"),
    [
        ("UTC", "%Y-%m-%d %H:%M", 0),
        ("-08:00", "%Y-%m-%d %H:%M", 8),
        ("local", "%Y-%m-%dT%H:%M:%S", 8),
        ("UTC", "%Y-%m-%dT%H:%MZ", 0),
    ],
)
def test_hours_of_any_zone_become_the_same_days(
    folder: Path, read: Callable[..., Any], zone: str, form: str, shift: int
) -> None:
    ends = pd.date_range("2022-01-01 09:00", periods=72, freq="h")  # UTC: three local days
    rain = np.arange(72) % 5 / 10
    written = (ends - pd.Timedelta(hours=shift)).strftime(form)
    write(folder, "time,rain\n" + "".join(f"{at},{value}\n" for at, value in zip(written, rain, strict=True)))
    (record,) = read(**hourly(zone, [])).values()
    np.testing.assert_allclose(record.observations["precipitation"], rain.reshape(3, 24).sum(axis=1))
    assert list(record.observations.index.day) == [1, 2, 3]


def test_the_hour_24_is_the_midnight_at_a_days_end(folder: Path, read: Callable[..., Any]) -> None:
    lines = [f"0{day}.01.2022,{hour:02d}:00,{hour / 10}" for day in (1, 2) for hour in range(1, 25)]
    write(folder, "day,clock,rain\n" + "\n".join(lines) + "\n")
    settings = hourly("local", [], columns=["day", "clock"], format="%d.%m.%Y %H:%M")
    (record,) = read(**settings).values()
    np.testing.assert_allclose(record.observations["precipitation"], [30, 30])
    compact = [f"202201{day:02d}{hour:02d}00,{hour / 10}" for day in (23, 24) for hour in range(1, 25)]
    write(folder, "time,rain\n" + "\n".join(compact) + "\n")
    (record,) = read(**hourly("local", [], format="%Y%m%d%H%M")).values()
    np.testing.assert_allclose(record.observations["precipitation"], [30, 30])


def test_stamps_at_the_beginning(folder: Path, read: Callable[..., Any]) -> None:
    begins = pd.date_range("2022-01-01 00:00", periods=48, freq="h")
    rain = np.r_[np.full(24, 0.1), np.full(24, 0.2)]
    write(folder, "time,rain\n" + "".join(f"{at:%Y-%m-%d %H:%M},{v}\n" for at, v in zip(begins, rain, strict=True)))
    (record,) = read(**hourly("local", [], stamp="begin")).values()
    np.testing.assert_allclose(record.observations["precipitation"], [2.4, 4.8])


@pytest.mark.parametrize(("day", "hours"), [("2022-03-13", 23), ("2022-11-06", 25)])
def test_days_on_which_clocks_change(folder: Path, read: Callable[..., Any], day: str, hours: int) -> None:
    start = pd.Timestamp(day, tz="America/Los_Angeles").tz_convert("UTC")
    ends = pd.date_range(start + pd.Timedelta(hours=1), periods=hours + 24, freq="h")
    write(folder, "time,rain\n" + "".join(f"{at:%Y-%m-%dT%H:%MZ},1\n" for at in ends))
    (record,) = read(**hourly("local", [])).values()
    np.testing.assert_allclose(record.observations["precipitation"], [hours, 24])
    local = ends.tz_convert("America/Los_Angeles").tz_localize(None)
    write(folder, "time,rain\n" + "".join(f"{at:%Y-%m-%d %H:%M},{n % 3}\n" for n, at in enumerate(local)))
    if hours == 25:  # the hour from 1 to 2 is there twice, and which is which is not certain
        (record,) = read(**hourly("local", [])).values()
        assert any("hours at which clocks change" in note for note in record.notes)


def test_temperature_and_humidity_of_hours(folder: Path, read: Callable[..., Any]) -> None:
    """Extremes are those of the 24 hours, vapour pressure is taken hour by hour (FAO-56 eq. 11)."""
    ends = pd.date_range("2022-01-01 01:00", periods=24, freq="h")
    temperature, humidity = 10 + 8 * np.sin(np.arange(24) / 4), 90 - 2 * np.arange(24)
    rows = (f"{at:%Y-%m-%d %H:%M},0,{t:.3f},{rh}\n" for at, t, rh in zip(ends, temperature, humidity, strict=True))
    write(folder, "time,rain,t,rh\n" + "".join(rows))
    columns = RAIN | {
        "temperature": {"column": "t", "unit": "degC"},
        "relative_humidity": {"column": "rh", "unit": "%"},
    }
    (record,) = read(**hourly("local", []) | {"columns": columns}).values()
    day = record.observations.iloc[0]
    assert day["max_temperature"] == pytest.approx(temperature.max(), abs=1e-3)
    assert day["min_temperature"] == pytest.approx(temperature.min(), abs=1e-3)
    e0 = 0.6108 * np.exp(17.27 * temperature / (temperature + 237.3))
    assert day["vapour_pressure"] == pytest.approx((humidity / 100 * e0).mean(), rel=1e-3)


def test_wind_at_two_metres_is_taken_to_ten(folder: Path, read: Callable[..., Any]) -> None:
    write(folder, "date,w\n2022-01-01,3\n")
    (record,) = read(format="csv", columns={"wind": {"column": "w", "unit": "m/s", "height_m": 2}}, station=AT).values()
    # FAO-56 eq. 47: u2 = 0.748 u10
    assert record.observations["wind"].iloc[0] == pytest.approx(3 / 0.748, rel=1e-3)


def test_places_of_a_list(folder: Path, read: Callable[..., Any]) -> None:
    write(folder, "station,date,rain\nA,2022-01-01,1\nB,2022-01-01,2\n")
    write(folder, "station;latitude;longitude;elevation\nA;34,45;240,25;\nB;34,4;-119,8;7\n", "places.csv")
    found = read(format="csv", columns=RAIN, stations="places.csv")
    assert found["A"].longitude == pytest.approx(-119.75)
    assert np.isnan(found["A"].elevation_m)
    write(folder, "station;latitude;longitude;elevation\nA;34,45;240,25;\n", "places.csv")
    with pytest.raises(DataError, match="station B is not in the list of stations"):
        read(format="csv", columns=RAIN, stations="places.csv")


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("date,regen\n2022-01-01,1\n", {}, r"no column rain; it has DATE, REGEN: correct datamodule\.weather\.columns"),
        ("tag,rain\n2022-01-01,1\n", {}, r"no column date; it has TAG, RAIN: .*weather\.time\.columns"),
        ("date,rain\n01/02/2022,1\n", {}, "can be DD/MM/YYYY or MM/DD/YYYY"),
        ("date,rain\n2022-01-01 07:00,x\n2022-01-01 08:00,1\n", {}, "line 2: rain 'x' is not a number"),
        ("date,rain\n2022-01-01 7h,1\n2022-01-01 08:00,1\n", {}, "line 2: '2022-01-01 7h' is no time as ISO 8601"),
        ("date,rain\n2022-01-01T07:00Z,1\n2022-01-01T08:00,1\n", {}, "line 3: .* has no offset from UTC, and other"),
        ("date,rain\n2022-01-01,9000\n", {}, r"1 of 1 values of rain are impossible in mm, e\.g\. 9000"),
        ("date,rain\n2022-01-01 00:00,1\n2022-01-01 08:00,1\n", {}, "steps of 8 hours"),
        ("date,rain\n", {}, "no line below the header"),
        ("date,rain\n2022-01-01,1\n", {"station": {}}, r"no column latitude; name the column, or give the value"),
    ],
)
def test_what_is_not_certain_is_refused(
    folder: Path, read: Callable[..., Any], text: str, settings: dict[str, Any], message: str
) -> None:
    write(folder, text)
    with pytest.raises(DataError, match=message):
        read(**{"format": "csv", "columns": RAIN, "station": AT} | settings)


def test_a_zone_that_is_none(folder: Path, read: Callable[..., Any]) -> None:
    write(folder, "time,rain\n2022-01-01 07:00,1\n2022-01-01 08:00,1\n")
    with pytest.raises(ConfigError, match=r"time\.zone=Mars is none"):
        read(**hourly("Mars", []))
