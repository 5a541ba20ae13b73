import numpy as np
import pandas as pd
import pytest

from mlssm.sources.weather.flags import has_quality_flag, observation_hour, to_the_day_before, totals_of_several_days

NAN = float("nan")


def attributes(*text: str) -> pd.DataFrame:
    return pd.DataFrame({"PRCP_ATTRIBUTES": text})


def test_flags_and_hours_by_their_place() -> None:
    lines = attributes(",,W", "T,,7,0700", ",I,7,1730", "B,,0,2400", ",,7,0000", ",,7,9999", ",,7,0780", "")
    assert list(has_quality_flag(lines, "PRCP")) == [False, False, True, False, False, False, False, False]
    np.testing.assert_array_equal(observation_hour(lines, "PRCP"), [NAN, 7, 17.5, 24, 24, NAN, NAN, NAN])
    assert not has_quality_flag(lines, "TMAX").any()
    assert observation_hour(lines, "TMAX").isna().all()


def series(values: list[float], first: str = "2022-01-10") -> "pd.Series[float]":
    return pd.Series(values, index=pd.date_range(first, periods=len(values)))


def test_rain_read_in_the_morning_is_of_the_day_before() -> None:
    rain, moved, clashing = to_the_day_before(series([1, 2, NAN, 4]), series([7, 7, 7, 7]))
    assert (moved, clashing) == (3, 0)
    pd.testing.assert_series_equal(
        rain.asfreq("D"), series([1, 2, NAN, 4, NAN], "2022-01-09"), check_names=False, check_freq=False
    )


@pytest.mark.parametrize("hour", [12.0, 17.0, 18.5, 24.0, NAN])
def test_rain_read_later_or_at_an_unknown_hour_stays(hour: float) -> None:
    rain, moved, _ = to_the_day_before(series([1, 2]), series([hour, hour]))
    assert moved == 0
    assert list(rain) == [1, 2]


def test_a_station_that_changes_its_hour() -> None:
    """To midnight: the day between has no value. To the morning: the day has two, and midnight's stays."""
    to_midnight, *_ = to_the_day_before(series([1, 2, 3]), series([7, 24, 24]))
    np.testing.assert_array_equal(to_midnight.sort_index(), [1, NAN, 2, 3])
    to_morning, moved, clashing = to_the_day_before(series([1, 2, 3]), series([24, 7, 7]))
    assert (moved, clashing) == (2, 1)
    np.testing.assert_array_equal(to_morning.sort_index(), [1, 3, NAN])


def covered(lines: pd.DataFrame, days: pd.DatetimeIndex) -> list[int]:
    return [day.day for total in totals_of_several_days(lines, days) for day in total.days]


def test_days_of_a_total_are_found() -> None:
    days = pd.date_range("2022-01-01", periods=6)
    lines = pd.DataFrame({"MDPR": ["", "", "", "120", "", "30"], "DAPR": ["", "", "", "3", "1", ""]})
    assert covered(lines, days) == [2, 3, 4, 6]
    assert [total.known for total in totals_of_several_days(lines, days)] == [True, False]
    assert covered(lines[["DAPR"]], days) == [2, 3, 4]
    assert totals_of_several_days(lines[[]], days) == []
