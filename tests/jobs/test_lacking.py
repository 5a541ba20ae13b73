import dataclasses
import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlssm.data.spec import FeatureSpec
from mlssm.inference.mapper import weather_of
from mlssm.jobs.day_map import bridged_in
from mlssm.jobs.lacking import last_possible, reasons, tell_bridged, why_not
from mlssm.weather.bridging import bridge, bridged_days
from mlssm.weather.field import WeatherField
from mlssm.weather.stations import VARIABLES, StationWeather

FIRST = np.datetime64("2023-01-01")
DAYS = FIRST + np.arange(31)
SPEC = FeatureSpec(("precipitation", "temperature", "wind"), (), (0.0,) * 3, (1.0,) * 3)


def opened(watershed: Any, longest: int = 0, **missing: list[int]) -> Any:
    """What is asked of an opened run: two stations in January 2023, a window of three days."""
    values = np.ones((31, 2, len(VARIABLES)))
    for name, days in missing.items():
        values[np.array(days) - 1, :, VARIABLES.index(name)] = np.nan
    place = np.zeros(2)
    measured = StationWeather(DAYS, ("a", "b"), place, place, place, values)
    config = watershed.config("model.lag=3", "features.on_missing=fill")
    weather = bridge(measured, longest)
    field = WeatherField(weather, np.zeros((2, 2)), (), config.weather, bridged_days(measured, weather))
    features = SimpleNamespace(field=field, spec=SPEC, layers=())
    bundle = SimpleNamespace(knows_the_day=True, window=config.window, weather=config.weather, features=config.features)
    cube = SimpleNamespace(weather=measured)
    asked = {
        "moment": lambda day: weather_of(bundle, features, day),
        "first_day": lambda day: day - np.timedelta64(2, "D"),
    }
    return SimpleNamespace(bundle=bundle, features=features, cube=cube, **asked)


def day(number: int) -> np.datetime64:
    return np.datetime64("2023-01-01") + (number - 1)


def test_the_first_quantity_and_day_that_lack_are_named(watershed) -> None:
    found = opened(watershed, temperature=[9, 10], wind=[10])
    assert found.moment(day(8)) is not None
    for number in (9, 10, 11):
        assert found.moment(day(number)) is None
        assert why_not(found, day(number)) == "temperature (TMAX or TMIN) at every station on 2023-01-09"
    assert why_not(found, day(12)) == "temperature (TMAX or TMIN) at every station on 2023-01-10"
    assert found.moment(day(13)) is not None


def test_rain_is_named_where_it_lacks(watershed) -> None:
    found = opened(watershed, precipitation=[5])
    assert found.moment(day(6)) is None
    assert why_not(found, day(6)) == "precipitation (PRCP) at every station on 2023-01-05"


def test_days_beyond_the_record_are_told_its_ends(watershed) -> None:
    found = opened(watershed)
    assert why_not(found, day(33)) == "the weather ends on 2023-01-31"
    assert why_not(found, day(-3)) == "the weather begins on 2023-01-01"


def test_days_of_one_reason_stand_together(watershed) -> None:
    found = opened(watershed, temperature=[9], wind=[20])
    days = np.array([day(number) for number in (9, 10, 11, 20, 21, 22)])
    assert reasons(found, days) == (
        "2023-01-09 to 2023-01-11: temperature (TMAX or TMIN) at every station on 2023-01-09; "
        "2023-01-20 to 2023-01-22: wind (AWND) at every station on 2023-01-20"
    )
    many = opened(watershed, temperature=[3, 7, 11, 15, 19, 23, 27])
    without = np.array([each for each in DAYS[2:] if many.moment(each) is None])
    assert reasons(many, without).count("TMAX") == 5
    assert reasons(many, without).endswith("; and 2 more reasons")


def test_the_last_day_that_can_be_mapped_is_told(watershed) -> None:
    assert last_possible(opened(watershed)) == day(31)
    assert last_possible(opened(watershed, temperature=[28])) == day(31)
    assert last_possible(opened(watershed, temperature=[29])) == day(28)
    assert last_possible(opened(watershed, temperature=list(range(1, 32)))) is None


def test_short_gaps_are_closed_and_told(watershed, caplog: pytest.LogCaptureFixture) -> None:
    closed = opened(watershed, 3, temperature=[9, 10])
    days = np.array([day(number) for number in (8, 9, 13)])
    assert all(closed.moment(each) is not None for each in days)
    assert [list(bridged_in(closed, each)) for each in days] == [[], ["temperature"], []]
    tell_bridged(closed, days)
    assert (
        "1 of 3 days rest on weather that no station has and that is drawn from the days around: "
        "temperature on 2023-01-09" in caplog.text
    )
    longer = opened(watershed, 3, temperature=[9, 10, 11, 12])
    assert longer.moment(day(9)) is None
    assert why_not(longer, day(9)).endswith("on 2023-01-09")


def test_what_the_model_does_not_see_is_not_told(watershed, caplog: pytest.LogCaptureFixture) -> None:
    found = opened(watershed, 3, vapour_pressure=[9])
    with caplog.at_level(logging.INFO):
        tell_bridged(found, np.array([day(9)]))
    assert caplog.text == ""


def test_without_bridging_nothing_changes(watershed) -> None:
    found = opened(watershed, 0, temperature=[9])
    assert found.features.field.weather is found.cube.weather
    assert dataclasses.asdict(found.features.field)["bridged"] == {}
