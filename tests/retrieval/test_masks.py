import dataclasses
import logging

import numpy as np
import pytest

from mlssm.retrieval.masks import DateMasks, frozen_or_snowy
from mlssm.weather.field import AreaPixels, WeatherField
from mlssm.weather.stations import VARIABLES, StationWeather

NAN = np.nan
DAYS = np.arange("2023-01-01", "2023-01-05", dtype="datetime64[D]")
TEMPERATURE, SNOW = VARIABLES.index("temperature"), VARIABLES.index("snow_depth")
EVERYTHING = slice(None)


@pytest.fixture
def field(train_config) -> WeatherField:
    """Two stations at sea level, one at each end of a line of five pixels that climbs to 1000 m; 4 days of 2 degC."""
    values = np.zeros((4, 2, len(VARIABLES)))
    values[:, :, TEMPERATURE] = 2.0
    nothing = np.zeros(2)
    weather = StationWeather(DAYS, ("A", "B"), nothing, nothing, nothing, values)
    place = AreaPixels(np.arange(5) * 1000.0, np.zeros(1), np.array([[0, 250, 400, 700, 1000]], np.float32))
    return WeatherField(weather, np.array([[0.0, 0], [4000, 0]]), (place,), train_config().weather)


def test_pixels_above_the_frost_line_are_masked(field: WeatherField, train_config) -> None:
    """2 degC at sea level freeze above 2 / 0.0065 = 308 m, though no station is below 0."""
    masks = frozen_or_snowy(field, DAYS, train_config().retrieval)
    found = masks.of(0, np.array([0, 3]), EVERYTHING, EVERYTHING)
    np.testing.assert_array_equal(found, [[[False, False, True, True, True]]] * 2)
    assert masks.any_of(0, np.array([1]))


def test_warm_days_are_clear_and_the_acquisitions_own_day_counts(field: WeatherField, train_config) -> None:
    field.weather.values[1:, :, TEMPERATURE] = 8.0
    masks = frozen_or_snowy(field, DAYS[[2, 0]], train_config().retrieval)
    assert not masks.any_of(0, np.array([0]))
    assert not masks.of(0, np.array([0]), EVERYTHING, EVERYTHING).any()
    assert masks.of(0, np.array([1]), EVERYTHING, slice(2, 5)).all()


def test_deep_snow_is_masked_and_a_dusting_is_not(field: WeatherField, train_config) -> None:
    """25 mm at one station and none at the other: more than 10 mm on the near side of the line's middle."""
    field.weather.values[:, :, TEMPERATURE] = 20.0
    field.weather.values[0, 0, SNOW] = 25.0
    field.weather.values[1, :, SNOW] = 9.0
    masks = frozen_or_snowy(field, DAYS, train_config().retrieval)
    np.testing.assert_array_equal(
        masks.of(0, np.array([0]), EVERYTHING, EVERYTHING)[0], [[True, True, True, False, False]]
    )
    assert set(masks.masked) == {(0, 0)}


def test_days_without_temperature_are_left_and_told(field: WeatherField, train_config, caplog) -> None:
    field.weather.values[2, :, TEMPERATURE] = NAN
    with caplog.at_level(logging.WARNING):
        masks = frozen_or_snowy(field, DAYS, train_config().retrieval)
    assert not masks.any_of(0, np.array([2]))
    assert "1 acquisitions have no air temperature" in caplog.text


def test_tall_areas_are_masked_in_bands_as_in_one(field: WeatherField, train_config) -> None:
    rng = np.random.default_rng(0)
    tall = AreaPixels(np.arange(3) * 1000.0, np.arange(600) * -30.0, rng.uniform(0, 900, (600, 3)).astype(np.float32))
    config = train_config().retrieval
    masks = frozen_or_snowy(dataclasses.replace(field, places=(tall,)), DAYS[:1], config)
    found = masks.of(0, np.array([0]), EVERYTHING, EVERYTHING)[0]
    temperature = field.weather.values[0, 0, TEMPERATURE] - 0.0065 * tall.elevation
    np.testing.assert_array_equal(found, temperature < 0)


def test_no_mask_is_clear() -> None:
    masks = DateMasks({}, ((2, 3),))
    assert not masks.of(0, np.array([0, 1]), slice(0, 1), EVERYTHING).any()
    assert masks.of(0, np.array([0, 1]), slice(0, 1), EVERYTHING).shape == (2, 1, 3)
