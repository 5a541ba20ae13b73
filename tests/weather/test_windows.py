import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlssm.weather.stations import VARIABLES, StationWeather
from mlssm.weather.windows import antecedent, antecedent_precipitation_index, window_end

FIRST = dt.date(2020, 1, 1)


def weather(**timelines: str) -> StationWeather:
    """One station; a character is a day, a dot is missing. All variables have the same timeline unless named."""
    default = timelines.get("all", next(iter(timelines.values())))
    columns = [[np.nan if day == "." else float(day) for day in timelines.get(name, default)] for name in VARIABLES]
    values = np.array(columns).T[:, None, :]
    place = np.zeros(1)
    days = np.datetime64(FIRST) + np.arange(len(values))
    return StationWeather(days, ("A",), place, place, place, values)


def ends(*numbers: int) -> np.ndarray:
    return np.array([np.datetime64(FIRST) + number for number in numbers])


@pytest.mark.parametrize(
    ("acquired", "expected"),
    [
        ("2023-01-01T17:58:58", "2023-01-01"),  # evening: has seen the day
        ("2023-01-01T12:00:00", "2023-01-01"),
        ("2023-01-01T11:59:59", "2022-12-31"),
        ("2023-01-01T05:51:00-08:00", "2022-12-31"),  # morning: has not
    ],
)
def test_window_end(acquired: str, expected: str) -> None:
    assert window_end(dt.datetime.fromisoformat(acquired)) == dt.date.fromisoformat(expected)


# a timeline of days 0..9; the window ends with day `end`; one character a day, oldest first
@pytest.mark.parametrize(
    ("timeline", "end", "lag", "expected"),
    [
        ("0123456789", 9, 1, "9"),
        ("0123456789", 9, 3, "789"),
        ("0123456789", 2, 3, "012"),
        ("0123456789", 1, 3, ".01"),  # begins before the record
        ("0123456789", 10, 3, "89."),  # ends after it
        ("0123456789", 12, 3, "..."),
        ("0123456789", -1, 3, "..."),
        ("0123456789", 400, 3, "..."),
        ("01.3456789", 3, 3, "1.3"),
        ("0123456789", 9, 12, "..0123456789"),
    ],
)
def test_sequence(timeline: str, end: int, lag: int, expected: str) -> None:
    window = antecedent(weather(all=timeline), ends(end), lag, "sequence", min_coverage=1.0)
    assert window.shape == (1, lag, 1, len(VARIABLES))
    digits = np.array([np.nan if day == "." else float(day) for day in expected])
    np.testing.assert_array_equal(window[0, :, 0], np.repeat(digits[:, None], len(VARIABLES), axis=1))


@pytest.mark.parametrize(
    ("timeline", "lag", "coverage", "total", "mean"),
    [
        ("0123456789", 1, 1.0, 9, 9),
        ("0123456789", 3, 1.0, 24, 8),
        ("01234567.9", 3, 1.0, np.nan, np.nan),
        ("01234567.9", 3, 0.6, 24, 8),  # (7 + 9) * 3/2
        ("0123456..9", 3, 0.6, np.nan, np.nan),
        ("0123456..9", 3, 0.3, 27, 9),
        ("0123456...", 3, 0.1, np.nan, np.nan),
        ("0123456789", 20, 0.5, 90, 4.5),  # half of the window is before the record
        ("0123456789", 20, 0.55, np.nan, np.nan),
        (".123456789", 10, 0.9, 50, 5),
    ],
)
def test_aggregate(timeline: str, lag: int, coverage: float, total: float, mean: float) -> None:
    window = antecedent(weather(all=timeline), ends(9), lag, "aggregate", coverage)
    assert window.shape == (1, 1, 1, len(VARIABLES))
    expected = [total if name in ("precipitation", "evapotranspiration") else mean for name in VARIABLES]
    np.testing.assert_allclose(window[0, 0, 0], expected)


def test_exactly_the_coverage_asked_for_is_enough_in_floating_point() -> None:
    timeline = "1" * 11 + "." * 9  # 0.55 * 20 is 11.000000000000002
    assert np.isfinite(antecedent(weather(all=timeline), ends(19), 20, "aggregate", 0.55)).all()


def test_each_variable_and_each_date_has_its_own_gaps() -> None:
    record = weather(all="123", temperature="1.3", wind="...")
    window = antecedent(record, ends(2, 0), 2, "aggregate", 0.5)
    by_name = dict(zip(VARIABLES, window[:, 0, 0].T, strict=True))
    np.testing.assert_allclose(by_name["precipitation"], [5, 2])
    np.testing.assert_allclose(by_name["temperature"], [3, 1])
    np.testing.assert_allclose(by_name["snow_depth"], [2.5, 1])
    assert np.isnan(by_name["wind"]).all()


def test_the_record_is_not_changed() -> None:
    record = weather(all="123")
    antecedent(record, ends(1, 5), 3, "sequence", 1.0)[:] = 99
    assert record.values.max() == 3


def test_a_lag_below_one_day_is_refused() -> None:
    with pytest.raises(ValueError, match="lag 0"):
        antecedent(weather(all="123"), ends(1), 0, "sequence", 1.0)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 90)), min_size=1, max_size=40), st.integers(1, 12))
def test_an_aggregate_is_that_of_its_sequence(rain: list[int | None], lag: int) -> None:
    columns = np.array([np.nan if day is None else day for day in rain], dtype=float)
    values = np.repeat(columns[:, None, None], len(VARIABLES), axis=2)
    days = np.datetime64(FIRST) + np.arange(len(rain))
    record = StationWeather(days, ("A",), *[np.zeros(1)] * 3, values)
    sequence = antecedent(record, days, lag, "sequence", 0.5)[:, :, 0, 0]
    window = antecedent(record, days, lag, "aggregate", 0.5)[:, 0, 0]
    for steps, (total, _, mean, *_) in zip(sequence, window, strict=True):
        present = [day for day in steps if not np.isnan(day)]
        if len(present) * 2 < lag:
            assert np.isnan(total)
            assert np.isnan(mean)
        else:
            assert mean == pytest.approx(sum(present) / len(present))
            assert total == pytest.approx(lag * sum(present) / len(present))


def test_antecedent_precipitation_index_of_one_rain_decays_by_a_third_power_of_e() -> None:
    index = antecedent_precipitation_index(np.array([0, 12.0, 0, 0, np.nan, 0, 0]))
    np.testing.assert_allclose(index, [0, *(12 * np.exp(-np.arange(6) / 3))])


def test_antecedent_precipitation_index_of_steady_rain_is_a_geometric_series() -> None:
    decay = np.exp(-1 / 5)
    index = antecedent_precipitation_index(np.full(50, 2.0), decay_days=5)
    np.testing.assert_allclose(index, 2 * (1 - decay ** np.arange(1, 51)) / (1 - decay))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 200), min_size=1, max_size=60), st.floats(0.5, 30))
def test_antecedent_precipitation_index_is_its_recursion(rain: list[float], decay_days: float) -> None:
    expected, before = [], 0.0
    for today in rain:
        before = today + np.exp(-1 / decay_days) * before
        expected.append(before)
    np.testing.assert_allclose(antecedent_precipitation_index(np.array(rain), decay_days), expected, atol=1e-9)


@pytest.mark.parametrize(("rain", "decay_days"), [([-1.0], 3.0), ([np.inf], 3.0), ([[1.0]], 3.0), ([1.0], 0.0)])
def test_rain_that_cannot_be_is_refused(rain: list[float], decay_days: float) -> None:
    with pytest.raises(ValueError, match="finite values >= 0"):
        antecedent_precipitation_index(np.array(rain), decay_days)
