import numpy as np
import pytest

from mlssm.weather.agreement import height_warnings, rain_warnings
from mlssm.weather.stations import VARIABLES, StationWeather

RAIN = np.random.default_rng(1).gamma(0.3, 8, 200)
PLACES = np.array([[0.0, 0], [10_000, 0], [30_000, 0]])


def record(*rain: np.ndarray, heights: tuple[float, ...] = (0.0, 0.0, 0.0)) -> StationWeather:
    values = np.full((200, len(rain), len(VARIABLES)), np.nan)
    values[:, :, 0] = np.stack(rain, axis=1)
    days = np.datetime64("2022-01-01") + np.arange(200)
    place = np.zeros(len(rain))
    return StationWeather(days, tuple("ABC"[: len(rain)]), place, place, np.array(heights[: len(rain)]), values)


def test_a_station_with_a_tenth_of_its_neighbours_rain_is_told() -> None:
    (line,) = rain_warnings(record(RAIN, RAIN / 10, RAIN * 0.8), PLACES)
    assert line.startswith(f"B has {RAIN.sum() / 10:.0f} mm of rain on days on which A, 10 km away, has")


@pytest.mark.parametrize(
    "others",
    [
        (RAIN * 0.25, RAIN * 3),  # lee and windward
        (np.where(np.arange(200) < 99, RAIN / 10, np.nan), RAIN),  # too few days
        (np.zeros(200), RAIN),  # none at all: another check's
    ],
)
def test_stations_that_may_be_right_are_not(others: tuple[np.ndarray, np.ndarray]) -> None:
    assert rain_warnings(record(RAIN, *others), PLACES) == ()


def test_neighbours_beyond_100_km_are_none() -> None:
    assert rain_warnings(record(RAIN, RAIN / 10), PLACES[:2] * 11) == ()


def test_heights_far_from_the_terrain_are_told() -> None:
    weather = record(RAIN, RAIN, RAIN, heights=(1640.0, 900.0, 250.0))
    assert height_warnings(weather, np.array([500.0, 500.0, 100.0])) == (
        "A: ELEVATION is 1640 m and the DEM there has 500 m: it looks to be in feet",
        "B: ELEVATION is 900 m and the DEM there has 500 m: check place and unit",
    )
    assert height_warnings(weather, np.full(3, np.nan)) == ()
    unknown = record(RAIN, heights=(np.nan,))
    assert height_warnings(unknown, np.array([500.0])) == ()
