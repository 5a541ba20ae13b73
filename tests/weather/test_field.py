import dataclasses
import pickle

import numpy as np
import pytest

from mlssm.weather.field import ExtentPixels, WeatherField
from mlssm.weather.interpolation import Rectangle, weigh_window
from mlssm.weather.stations import VARIABLES, StationWeather
from mlssm.weather.weight_cache import LARGEST_SHARE, WeightCache

NAN = np.nan
DAYS = np.arange("2023-01-01", "2023-02-10", dtype="datetime64[D]")
PATCH = slice(10, 30), slice(5, 25)


@pytest.fixture
def field(train_config) -> WeatherField:
    """12 stations with gaps, and two extents of which the second has no elevation in places."""
    rng = np.random.default_rng(0)
    values = rng.gamma(2, 5, (len(DAYS), 12, len(VARIABLES)))
    values[rng.random(values.shape) < 0.3] = NAN
    values[5, :, VARIABLES.index("wind")] = NAN
    height = rng.uniform(0, 1500, 12)
    height[3] = NAN
    weather = StationWeather(DAYS, tuple("ABCDEFGHIJKL"), np.zeros(12), np.zeros(12), height, values)
    places = []
    for corner in (0.0, 20_000.0):
        elevation = rng.uniform(0, 1500, (40, 50)).astype(np.float32)
        elevation[:12, :8] = NAN if corner else 3.0
        places.append(ExtentPixels(corner + np.arange(50) * 90.0, corner - np.arange(40) * 90.0, elevation))
    return WeatherField(weather, rng.uniform(-5000, 25_000, (12, 2)), tuple(places), train_config().weather)


def directly(field: WeatherField, window: np.ndarray, extent: int, rows: slice, cols: slice) -> np.ndarray:
    place = field.places[extent]
    stations = (*field.station_xy.T, field.weather.elevation_m)
    where = place.x[cols], place.y[rows], place.elevation[rows, cols]
    pixels = Rectangle(stations, *where, field.config.neighbours, field.config.power)
    return weigh_window(window, VARIABLES, pixels.weigh, pixels.elevation.shape)


@pytest.mark.parametrize("lag", [1, 3, 30])
def test_kept_weights_give_the_same_numbers(field: WeatherField, lag: int) -> None:
    """To the bit, whether the weights are made, found again, or those of another place in between."""
    windows = field.windows(DAYS[[31, 35, 31]], lag, "sequence")
    for _ in range(2):
        for window in windows:
            for extent, rows, cols in ((0, *PATCH), (1, *PATCH), (1, slice(0, 20), slice(0, 20))):
                found = field.at_pixels(window, extent, rows, cols)
                np.testing.assert_array_equal(found, directly(field, window, extent, rows, cols))
    assert len(field.cache) > 0


def test_slices_with_a_step_are_another_place(field: WeatherField) -> None:
    window = field.windows(DAYS[[20]], 2, "sequence")[0]
    whole = field.at_pixels(window, 0, slice(0, 40), slice(0, 50))
    for rows, cols in ((3, 7), (3, 1), (1, 7)):
        found = field.at_pixels(window, 0, slice(0, 40, rows), slice(0, 50, cols))
        np.testing.assert_array_equal(found, whole[:, :, ::rows, ::cols])
    np.testing.assert_array_equal(field.at_pixels(window, 0, slice(None), slice(None)), whole)


def test_wanted_variables_are_those_of_all(field: WeatherField) -> None:
    window = field.windows(DAYS[[20]], 3, "sequence")[0]
    wanted = ("wind", "temperature")
    found = field.at_pixels(window, 1, *PATCH, wanted)
    everything = field.at_pixels(window, 1, *PATCH)
    np.testing.assert_array_equal(found, everything[:, [VARIABLES.index(name) for name in wanted]])


def test_a_day_that_no_station_has_is_missing(field: WeatherField) -> None:
    window = field.windows(DAYS[[5]], 1, "sequence")[0]
    found = field.at_pixels(window, 0, *PATCH)[0]
    missing = np.isnan(found).all(axis=(1, 2))
    np.testing.assert_array_equal(missing, [name == "wind" for name in VARIABLES])


def test_coldest_is_a_bound_from_below(field: WeatherField) -> None:
    temperature = VARIABLES.index("temperature")
    for day in field.windows(DAYS, 1, "aggregate")[:, 0]:
        for extent in (0, 1):
            at_pixels = field.at_pixels(day[None], extent, slice(None), slice(None), ("temperature",))
            assert field.coldest(day, extent) <= at_pixels.min() + 1e-4
    day[:, temperature] = NAN
    assert field.coldest(day, 0) == np.inf


def weights_of(field: WeatherField, size: int):
    place = field.places[0]
    stations = (*field.station_xy.T, field.weather.elevation_m)
    pixels = Rectangle(stations, place.x[:size], place.y[:size], place.elevation[:size, :size], 8, 2.0)
    return pixels.weigh(np.ones(12, bool))


def test_stations_that_weigh_nothing_are_left_out(field: WeatherField) -> None:
    """With 8 neighbours in one pixel 8 of 12 stations weigh, and their weights sum to 1."""
    found = weights_of(field, 1)
    assert found.weights.shape == (8, 1)
    assert found.weights.sum() == pytest.approx(1)
    nearest = np.argsort(np.hypot(*(field.station_xy - [field.places[0].x[0], field.places[0].y[0]]).T))[:8]
    np.testing.assert_array_equal(found.stations, np.sort(nearest))


def test_a_large_rectangle_has_the_weather_of_its_parts(field: WeatherField, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stations are looked for once, whichever of them have a value."""
    window = field.windows(DAYS[[20]], 20, "sequence")[0]
    expected = field.at_pixels(window, 0, slice(0, 20), slice(0, 20))
    made, plain = [], Rectangle.nearest
    monkeypatch.setattr("mlssm.weather.field.SHARED", 400)
    monkeypatch.setattr(Rectangle, "nearest", lambda self, most: made.append(1) or plain(self, most))
    anew = dataclasses.replace(field, cache=WeightCache(2**24, 1))
    found = anew.at_pixels(window, 0, slice(0, 20), slice(0, 20))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)
    assert len(made) == 1
    assert len(anew.cache) > 2


def test_memory_of_the_cache_is_bounded(field: WeatherField) -> None:
    """The least recently used weights go first, and the counted memory is that of what is kept."""
    found = weights_of(field, 5)
    cache, made = WeightCache(found.nbytes * 20), []

    def make():
        made.append(1)
        return found

    for key in range(30):
        cache.find(key, make)
        cache.find(0, make)
        assert cache.nbytes <= cache.capacity
    assert len(cache) == 20
    assert cache.nbytes == 20 * found.nbytes
    assert len(made) == 30  # 0 was never made again
    cache.find(1, make)
    assert len(made) == 31


def test_what_is_too_large_is_not_kept(field: WeatherField) -> None:
    found = weights_of(field, 40)
    cache = WeightCache(int(found.nbytes / LARGEST_SHARE) - 100)
    assert cache.find("whole extent", lambda: found) is found
    assert (len(cache), cache.nbytes) == (0, 0)


def test_a_worker_starts_with_an_empty_cache(field: WeatherField) -> None:
    window = field.windows(DAYS[[20]], 2, "sequence")[0]
    found = field.at_pixels(window, 0, *PATCH)
    copy = pickle.loads(pickle.dumps(field))
    assert (len(copy.cache), copy.cache.capacity) == (0, field.cache.capacity)
    np.testing.assert_array_equal(copy.at_pixels(window, 0, *PATCH), found)
