import dataclasses
import logging

import numpy as np
import pytest
from tests.elsewhere import Elsewhere

from mlssm.crew import Crew
from mlssm.retrieval.masks import DateMasks, frozen_or_snowy
from mlssm.retrieval.reasons import Reason
from mlssm.weather.field import ExtentPixels, WeatherField
from mlssm.weather.stations import VARIABLES, StationWeather
from mlssm.workers import Workers

NAN = np.nan
DAYS = np.arange("2023-01-01", "2023-01-05", dtype="datetime64[D]")
TEMPERATURE, SNOW = VARIABLES.index("temperature"), VARIABLES.index("snow_depth")
MINIMUM = VARIABLES.index("min_temperature")
EVERYTHING = slice(None)


@pytest.fixture
def field(train_config) -> WeatherField:
    """Two stations at sea level, one at each end of a line of five pixels that climbs to 1000 m; 4 days of 2 degC."""
    values = np.zeros((4, 2, len(VARIABLES)))
    values[:, :, TEMPERATURE] = 2.0
    nothing = np.zeros(2)
    weather = StationWeather(DAYS, ("A", "B"), nothing, nothing, nothing, values)
    place = ExtentPixels(np.arange(5) * 1000.0, np.zeros(1), np.array([[0, 250, 400, 700, 1000]], np.float32))
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


def transect(train_config, mountain: tuple[float, float], lowland: tuple[float, float]) -> WeatherField:
    """30 km from sea level up to 3000 m, a station (temperature, snow depth) at each end; 10 days all alike."""
    days = np.arange("2023-01-01", "2023-01-11", dtype="datetime64[D]")
    values = np.full((10, 2, len(VARIABLES)), NAN)
    values[:, 0, [TEMPERATURE, SNOW]], values[:, 1, [TEMPERATURE, SNOW]] = lowland, mountain
    height, nothing = np.array([0.0, 3000.0]), np.zeros(2)
    weather = StationWeather(days, ("A", "B"), nothing, nothing, height, values)
    x = np.arange(301) * 100.0
    place = ExtentPixels(x, np.zeros(1), (x / 10).astype(np.float32)[None])
    return WeatherField(weather, np.array([[0.0, 0], [30_000, 0]]), (place,), train_config().weather)


@pytest.mark.parametrize("depth", [NAN, 0.0])
def test_a_mountains_snow_does_not_reach_the_warm_lowland(train_config, depth: float) -> None:
    """15 degC at sea level: 2 degC lie at 2000 m, and below there is none, whatever the interpolated depth says.

    Without temperature 83 % or all of the transect would be masked: 500 mm spread to where 10 mm are left of them.
    """
    field = transect(train_config, (-4.5, 500.0), (15.0, depth))
    masks = frozen_or_snowy(field, field.weather.days[-1:], train_config().retrieval)
    masked = masks.of(0, np.array([0]), EVERYTHING, EVERYTHING)[0, 0]
    height = field.places[0].elevation[0]
    np.testing.assert_array_equal(masked, height >= 2000)
    spread = field.at_pixels(field.windows(field.weather.days[-1:], 1, "aggregate")[0], 0, slice(None), slice(None))
    assert (spread[0, SNOW] > 10).mean() > 0.83


def test_snow_that_outlasts_the_cold_is_masked_down_to_its_station(train_config) -> None:
    """May: 6 degC and half a metre at 3000 m; what is as cold as the station is snowy, what is warmer is not."""
    field = transect(train_config, (6.0, 500.0), (25.5, NAN))
    masks = frozen_or_snowy(field, field.weather.days[-1:], train_config().retrieval)
    masked = masks.of(0, np.array([0]), EVERYTHING, EVERYTHING)[0, 0]
    assert masked[-1]
    assert masked.sum() == 1


def test_one_warm_day_does_not_melt_the_snow(train_config) -> None:
    field = transect(train_config, (-4.5, 500.0), (15.0, NAN))
    field.weather.values[-1, :, TEMPERATURE] += 6.0
    masks = frozen_or_snowy(field, field.weather.days[-1:], train_config().retrieval)
    masked = masks.of(0, np.array([0]), EVERYTHING, EVERYTHING)[0, 0]
    limit = 2000 + 6.0 / 7 / 0.0065  # the week's mean has risen by a seventh
    np.testing.assert_array_equal(masked, field.places[0].elevation[0] >= limit)


def test_snow_without_any_temperature_is_masked_by_its_depth(train_config) -> None:
    field = transect(train_config, (NAN, 500.0), (NAN, NAN))
    masks = frozen_or_snowy(field, field.weather.days[-1:], train_config().retrieval)
    assert masks.of(0, np.array([0]), EVERYTHING, EVERYTHING).all()


def test_a_morning_pass_has_the_nights_frost_and_an_evening_pass_has_not(field: WeatherField, train_config) -> None:
    """A mean of 5 degC, a minimum of 1: at 400 m it freezes at 6 a.m. (1 - 2.6 degC), and not at 6 p.m. (5 - 2.6)."""
    field.weather.values[:, :, TEMPERATURE], field.weather.values[:, :, MINIMUM] = 5.0, 1.0
    passes, config = np.array([True, False]), train_config().retrieval
    masks = frozen_or_snowy(field, DAYS[:2], config, passes)
    np.testing.assert_array_equal(
        masks.of(0, np.array([0, 1]), EVERYTHING, EVERYTHING)[:, 0],
        [[False, True, True, True, True], [False, False, False, False, True]],
    )
    whole_day = frozen_or_snowy(field, DAYS[:1], config).of(0, np.array([0]), EVERYTHING, EVERYTHING)
    np.testing.assert_array_equal(whole_day[0, 0], [False, False, False, False, True])


def test_days_without_temperature_are_left_and_told(field: WeatherField, train_config, caplog) -> None:
    field.weather.values[2, :, TEMPERATURE] = NAN
    with caplog.at_level(logging.WARNING):
        masks = frozen_or_snowy(field, DAYS, train_config().retrieval)
    assert not masks.any_of(0, np.array([2]))
    assert "1 acquisitions have no air temperature" in caplog.text


@pytest.mark.parametrize("crew", [None, Crew(Workers(3), None), Crew(Elsewhere(), None)])
def test_tall_extents_are_masked_in_bands_as_in_one(field: WeatherField, train_config, crew: Crew | None) -> None:
    rng = np.random.default_rng(0)
    tall = ExtentPixels(np.arange(3) * 1000.0, np.arange(600) * -30.0, rng.uniform(0, 900, (600, 3)).astype(np.float32))
    config = train_config().retrieval
    field.weather.values[1, :, TEMPERATURE] = 3.0
    masks = frozen_or_snowy(dataclasses.replace(field, places=(tall,)), DAYS[:2], config, crew=crew)
    found, milder = masks.of(0, np.array([0, 1]), EVERYTHING, EVERYTHING)
    assert 0 < milder.sum() < found.sum()
    temperature = field.weather.values[0, 0, TEMPERATURE] - 0.0065 * tall.elevation
    np.testing.assert_array_equal(found, temperature < 0)


def test_no_mask_is_clear() -> None:
    masks = DateMasks({}, ((2, 3),))
    assert not masks.of(0, np.array([0, 1]), slice(0, 1), EVERYTHING).any()
    assert masks.of(0, np.array([0, 1]), slice(0, 1), EVERYTHING).shape == (2, 1, 3)


def test_frost_snow_and_a_wet_canopy_are_told_apart(field: WeatherField, train_config) -> None:
    """Rain of 12 mm at the near station: more than 5 mm on the near side; the far side freezes above 308 m."""
    field.weather.values[0, 0, VARIABLES.index("precipitation")] = 12.0
    field.weather.values[1, :, SNOW] = 25.0
    config = train_config().retrieval.model_copy(update={"wet_canopy_above_mm": 5.0})
    masks = frozen_or_snowy(field, DAYS, config)
    rainy, snowy, cold = masks.reasons(0, np.array([0, 1, 2]), EVERYTHING, EVERYTHING)[:, 0]
    wet, frost, snow = Reason.WET_CANOPY, Reason.FROZEN, Reason.SNOW
    assert rainy.tolist() == [wet, wet, wet | frost, frost, frost]
    assert snowy.tolist() == [snow, snow, snow | frost, snow | frost, snow | frost]
    assert cold.tolist() == [0, 0, frost, frost, frost]
    plain = frozen_or_snowy(field, DAYS, train_config().retrieval)
    assert plain.reasons(0, np.array([0]), EVERYTHING, EVERYTHING)[0, 0].tolist() == [0, 0, frost, frost, frost]
