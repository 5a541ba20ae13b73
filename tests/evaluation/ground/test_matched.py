import numpy as np
import pandas as pd
import pytest

from mlssm.evaluation.ground.matched import FittedRain, StationRain, common_days, matched
from mlssm.inference.pixels import PixelSeries
from mlssm.sources.insitu.stations import Station
from mlssm.weather.stations import VARIABLES, StationWeather

RECORD = np.arange("2021-01-01", "2021-12-01", dtype="datetime64[D]")


def rain_of(seed: int = 0) -> StationRain:
    rng = np.random.default_rng(seed)
    return StationRain(RECORD, np.where(rng.random(len(RECORD)) < 0.3, rng.exponential(8, len(RECORD)), 0.0))


def test_rain_at_a_place_is_interpolated_and_exact_at_a_station() -> None:
    values = np.full((len(RECORD), 2, len(VARIABLES)), np.nan)
    values[:, 0, VARIABLES.index("precipitation")] = rain_of().rain
    values[:, 1, VARIABLES.index("precipitation")] = 0
    weather = StationWeather(RECORD, ("a", "b"), np.zeros(2), np.zeros(2), np.zeros(2), values)
    xy = np.array([[0.0, 0.0], [1000.0, 0.0]])
    np.testing.assert_allclose(StationRain.at(weather, xy, 0, 0, 8, 2).rain, rain_of().rain)
    np.testing.assert_allclose(StationRain.at(weather, xy, 500, 0, 8, 2).rain, rain_of().rain / 2)


def test_wetness_is_the_index_at_the_end_of_the_day_and_unknown_outside_of_the_record() -> None:
    rain = StationRain(RECORD[:3], np.array([10.0, 0.0, 5.0]))
    found = rain.wetness(np.array(["2020-12-31", "2021-01-01", "2021-01-03", "2021-01-04"], "datetime64[D]"), 2.0)
    kept = np.exp(-0.5)
    np.testing.assert_allclose(found, [np.nan, np.log1p(10), np.log1p(10 * kept**2 + 5), np.nan])


def test_rain_is_fitted_to_what_was_retrieved_with_the_decay_that_made_it() -> None:
    rain, ends = rain_of(), RECORD[20::9]
    ssm = 0.1 + 0.15 * rain.wetness(ends, 12.0)
    fitted = FittedRain.fit(rain, ends, ssm)
    assert fitted is not None
    assert fitted.decay_days == 12
    assert (fitted.offset, fitted.slope) == (pytest.approx(0.1), pytest.approx(0.15))
    np.testing.assert_allclose(fitted.ssm(rain, RECORD), np.clip(0.1 + 0.15 * rain.wetness(RECORD, 12.0), 0, 1))
    # what the model was not trained on is not seen
    hidden = np.where(np.arange(len(ssm)) < 9, ssm, np.nan)
    assert FittedRain.fit(rain, ends, hidden) is None
    assert FittedRain.fit(rain, ends, np.full(len(ends), 0.2)) is None


@pytest.mark.parametrize("ends_before", [0, 1])
def test_all_that_is_known_of_a_day_stands_in_its_row(ends_before: int) -> None:
    rain, days = rain_of(), RECORD[50:110]
    moisture = pd.Series([0.2, 0.3], pd.DatetimeIndex(days[[3, 40]]))
    station = Station("A", 0.0, 0.0, ("5 cm",), moisture, 0)
    ssm = np.linspace(0, 1, 60)
    ssm[5] = np.nan
    mapped = PixelSeries(ssm, ssm - 0.1, ssm + 0.1, ssm / 2, np.zeros(60, bool))
    of_images = RECORD[20::9]
    retrieved = np.clip(0.1 + 0.15 * rain.wetness(of_images - ends_before, 12.0), 0, 1)
    training = of_images < days[0]
    training[:] = True
    held_out = days >= days[30]
    found = matched(station, 40.0, days, mapped, (of_images, retrieved), rain, ends_before, training, held_out)
    row = found.days.iloc[40]
    assert (row["station"], row["model"]) == (0.3, ssm[40])
    assert row["rain"] == rain.wetness(days - ends_before)[40]
    assert row["fitted_rain"] == pytest.approx(np.clip(0.1 + 0.15 * rain.wetness(days - ends_before, 12.0), 0, 1)[40])
    assert row["rain_mm"] == rain.rain[90]
    assert bool(row["held_out"])
    assert found.decay_days == 12
    known = found.days["retrieved"].dropna()
    assert list(known.index) == [day for day in pd.DatetimeIndex(of_images) if day in pd.DatetimeIndex(days)]
    assert common_days([found]) == 2
