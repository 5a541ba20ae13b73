import logging
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.insitu.sensor import Sensor
from mlssm.sources.insitu.stations import Clock, daily_stations, sensor_days, together

ZONE = ZoneInfo("America/Los_Angeles")
EVENING, MORNING = Clock(ZONE, 18.0, True), Clock(ZONE, 6.0, False)


def hourly(values, start="2021-01-01T00", temperature=None, **changes) -> Sensor:
    times = np.datetime64(start, "s") + np.arange(len(values)) * np.timedelta64(1, "h")
    values = np.asarray(values, float)
    degrees = np.full(len(values), np.nan) if temperature is None else np.asarray(temperature, float)
    told = {"station": "A", "name": "a", "longitude": 0.0, "latitude": 0.0, "depth": (0.05, 0.05)}
    rest = {"times": times, "moisture": values, "temperature": degrees, "daily": False, "refused": 0}
    return Sensor(**{**told, **rest, **changes})


def daily(values, start="2021-01-01", **changes) -> Sensor:
    return hourly(values, **{"daily": True, "times": np.datetime64(start) + np.arange(len(values)), **changes})


def test_hours_around_the_pass_make_a_day_by_the_local_clock() -> None:
    # UTC is 8 hours ahead: 18:00 local on 1 January is hour 26
    values = np.full(72, np.nan)
    values[23:30] = np.arange(23, 30) / 100
    values[10] = 0.9  # 2:00 local: far from the pass
    days, frozen = sensor_days(hourly(values), EVENING)
    assert days.to_dict() == {pd.Timestamp("2021-01-01"): pytest.approx(0.26)}
    assert frozen == 0
    # 6:00 local on 1 January is hour 14; what lies within three hours of it is 11 to 17
    days, _ = sensor_days(hourly(np.arange(48) / 100), MORNING)
    assert days[pd.Timestamp("2021-01-01")] == pytest.approx(0.14)


def test_an_hour_of_the_next_utc_day_belongs_to_the_local_one_also_in_summer() -> None:
    values = np.full(48, np.nan)
    values[25] = 0.3  # 1:00 UTC on 2 July is 18:00 local on 1 July
    days, _ = sensor_days(hourly(values, "2021-07-01T00"), EVENING)
    assert days.to_dict() == {pd.Timestamp("2021-07-01"): 0.3}


def test_daily_values_belong_to_the_day_that_the_models_window_ends_with() -> None:
    sensor = daily([0.1, np.nan, 0.3])
    assert sensor_days(sensor, EVENING)[0].to_dict() == {
        pd.Timestamp("2021-01-01"): 0.1,
        pd.Timestamp("2021-01-03"): 0.3,
    }
    assert list(sensor_days(sensor, MORNING)[0].index) == [pd.Timestamp("2021-01-02"), pd.Timestamp("2021-01-04")]


def test_days_of_frozen_soil_are_left_out_and_counted() -> None:
    sensor = daily([0.1, 0.2, 0.3], temperature=[-0.1, 0.0, np.nan])
    days, frozen = sensor_days(sensor, EVENING)
    assert list(days) == [0.2, 0.3]
    assert frozen == 1
    # one frozen hour near the pass is enough
    degrees = np.full(48, 5.0)
    degrees[27] = -0.5
    days, frozen = sensor_days(hourly(np.full(48, 0.2), temperature=degrees), EVENING)
    assert frozen == 1
    assert pd.Timestamp("2021-01-01") not in days.index


def test_a_sensor_that_fails_does_not_move_the_mean() -> None:
    rng = np.random.default_rng(0)
    truth = 0.2 + 0.05 * rng.random(40)
    index = pd.date_range("2021-01-01", periods=40)
    columns = pd.DataFrame({0: truth - 0.04, 1: truth + 0.04}, index)
    columns.loc[index[20:], 1] = np.nan
    np.testing.assert_allclose(together("A", columns), truth, atol=1e-12)
    # a plain mean would have fallen by 0.04
    assert abs(columns.mean(axis=1)[20:] - truth[20:]).min() > 0.039


def test_sensors_that_never_report_together_do_not_mix(caplog: pytest.LogCaptureFixture) -> None:
    index = pd.date_range("2021-01-01", periods=30)
    columns = pd.DataFrame({0: [0.1] * 12 + [np.nan] * 18, 1: [np.nan] * 12 + [0.3] * 18}, index)
    with caplog.at_level(logging.WARNING):
        assert set(together("A", columns)) == {0.3}
    assert "station A: its 2 sensors share 0 days" in caplog.text


def test_stations_are_told_apart_and_a_moving_one_refused() -> None:
    many = [daily([0.1] * 20, name="b"), daily([0.3] * 20, name="c"), daily([0.2] * 20, station="B")]
    a, b = daily_stations(many, EVENING)
    assert (a.name, a.sensors, b.name) == ("A", ("b", "c"), "B")
    assert set(a.moisture.round(12)) == {0.2}
    with pytest.raises(DataError, match=r"sensors of the station A lie at different places"):
        daily_stations([daily([0.1]), daily([0.1], longitude=1.0)], EVENING)
