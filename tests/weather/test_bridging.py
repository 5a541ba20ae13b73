import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlssm.weather.bridging import BRIDGED, bridge, bridged_days, named_days, within
from mlssm.weather.stations import VARIABLES, StationWeather

FIRST = np.datetime64("2023-01-01")
TEMPERATURE, RAIN, SNOW = (VARIABLES.index(name) for name in ("temperature", "precipitation", "snow_depth"))


def record(*stations: str, others: bool = True) -> StationWeather:
    """A line a station, a character a day, a dot is missing: temperature, and with `others` the rest alike."""
    lines = np.array([[np.nan if day == "." else float(day) for day in line] for line in stations]).T
    values = np.repeat(lines[:, :, None] if others else np.ones((*lines.shape, 1)), len(VARIABLES), axis=2)
    values[:, :, TEMPERATURE] = lines
    place = np.arange(len(stations), dtype=float)
    return StationWeather(FIRST + np.arange(len(lines)), tuple(map(str, place)), place, place, place, values)


def temperature(weather: StationWeather, station: int = 0) -> list[float]:
    return weather.values[:, station, TEMPERATURE].tolist()


def test_a_short_gap_is_a_line_from_the_day_before_to_the_day_after() -> None:
    assert temperature(bridge(record("1..4.2"), 3)) == [1, 2, 3, 4, 3, 2]


@pytest.mark.parametrize(
    ("line", "longest"),
    [
        ("1....6", 3),  # too long
        ("1..4", 1),
        ("..34", 3),  # no day before
        ("12..", 3),  # no day after
        ("1..4", 0),  # not wanted
        ("....", 3),
    ],
)
def test_other_gaps_stay(line: str, longest: int) -> None:
    before = record(line)
    np.testing.assert_array_equal(bridge(before, longest).values, before.values)


def test_what_a_neighbour_has_is_left_to_it() -> None:
    found = bridge(record("1...5", "8.888"), 3)
    # on the second day nobody has a value; of the first station the others are interpolated from the second
    np.testing.assert_array_equal(temperature(found, 0), [1, 2, np.nan, np.nan, 5])
    np.testing.assert_array_equal(temperature(found, 1), [8, 8, 8, 8, 8])


def test_a_station_with_a_longer_gap_stays_without() -> None:
    found = bridge(record("1..4.", "1...."), 3)
    np.testing.assert_array_equal(temperature(found, 0), [1, 2, 3, 4, np.nan])
    np.testing.assert_array_equal(temperature(found, 1), [1, *[np.nan] * 4])


def test_rain_and_snow_are_never_made_up() -> None:
    before = record("1..4")
    found = bridge(before, 3)
    for name in VARIABLES:
        number = VARIABLES.index(name)
        assert np.isfinite(found.values[:, :, number]).all() == (name in BRIDGED), name
    assert {RAIN, SNOW}.isdisjoint(VARIABLES.index(name) for name in BRIDGED)


def test_the_record_itself_is_left_alone() -> None:
    before = record("1..4")
    bridge(before, 3)
    assert np.isnan(temperature(before)[1:3]).all()


lines = st.lists(st.text("123.", min_size=12, max_size=12), min_size=1, max_size=3)


@given(lines, st.integers(1, 5))
def test_no_value_changes_and_none_is_beyond_those_around(stations: list[str], longest: int) -> None:
    before = record(*stations)
    after = bridge(before, longest)
    known = np.isfinite(before.values)
    np.testing.assert_array_equal(after.values[known], before.values[known])
    for station in range(len(stations)):
        column, filled = before.values[:, station, TEMPERATURE], after.values[:, station, TEMPERATURE]
        for day in np.flatnonzero(np.isnan(column) & np.isfinite(filled)):
            assert np.isnan(before.values[day, :, TEMPERATURE]).all()
            own = np.flatnonzero(np.isfinite(column))
            left, right = own[own < day].max(), own[own > day].min()
            assert right - left - 1 <= longest
            assert min(column[left], column[right]) <= filled[day] <= max(column[left], column[right])


def test_closed_days_are_named() -> None:
    before = record("1..4.67.9", others=False)
    gaps = bridged_days(before, bridge(before, 3))
    assert list(gaps) == ["temperature"]
    assert named_days(gaps) == "temperature on 2023-01-02 to 2023-01-03 and 2023-01-05 and 2023-01-08"
    assert named_days(within(gaps, np.datetime64("2023-01-03"), np.datetime64("2023-01-06"))) == (
        "temperature on 2023-01-03 and 2023-01-05"
    )
    assert within(gaps, np.datetime64("2023-01-06"), np.datetime64("2023-01-07")) == {}
    assert bridged_days(before, before) == {}
