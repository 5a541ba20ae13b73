import numpy as np
import pytest

from mlssm.variables import unit_of
from mlssm.weather.stations import VARIABLES, StationWeather


def record(days: list[str], stations: int = 1) -> StationWeather:
    place = np.zeros(stations)
    values = np.zeros((len(days), stations, len(VARIABLES)))
    return StationWeather(np.array(days, "datetime64[D]"), ("A",) * stations, place, place, place, values)


def test_each_variable_has_a_unit() -> None:
    assert record(["2020-01-01"]).variables == VARIABLES
    assert [unit_of(name) for name in VARIABLES] == ["mm/day", "mm/day", "degC", "kPa", "m/s", "mm", "degC"]


def test_days_with_a_gap_are_refused() -> None:
    with pytest.raises(ValueError, match="consecutive"):
        record(["2020-01-01", "2020-01-03"])


def test_places_that_do_not_fit_the_stations_are_refused() -> None:
    with pytest.raises(ValueError, match="there are 2 stations"):
        StationWeather(
            np.array(["2020-01-01"], "datetime64[D]"), ("A", "B"), *[np.zeros(3)] * 3, np.zeros((1, 2, len(VARIABLES)))
        )
