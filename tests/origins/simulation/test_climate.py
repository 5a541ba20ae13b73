import numpy as np
import pandas as pd
import pyet
import pytest

from mlssm.origins.simulation.climate import (
    day_of_year,
    draw_climate,
    extraterrestrial_radiation,
    hargreaves,
    persistent,
    relative_humidity,
    saturation_vapour_pressure,
)
from mlssm.origins.simulation.weather import Points, build_weather


def test_radiation_of_fao_56_example_8() -> None:
    assert extraterrestrial_radiation(-20, 246) == pytest.approx(32.2, abs=0.05)


def test_hargreaves_agrees_with_pyet() -> None:
    days = pd.date_range("2021-01-10", periods=12, freq="30D")
    mean, span = 12.0 + np.arange(12.0), 11.0
    tmean = pd.Series(mean, index=days)
    theirs = pyet.hargreaves(tmean, tmean + span / 2, tmean - span / 2, lat=np.radians(34.5))
    # pyet's latent heat depends on temperature, FAO-56's is 2.45 MJ/kg
    expected = (theirs * pyet.calc_lambda(tmean) / 2.45).to_numpy()
    ours = [
        float(hargreaves(mean[[number]], span, extraterrestrial_radiation(34.5, day.dayofyear))[0])
        for number, day in enumerate(days)
    ]
    np.testing.assert_allclose(ours, expected, rtol=2e-3)


def test_no_demand_is_ever_negative() -> None:
    assert hargreaves(np.array([-30.0]), 10, 30)[0] == 0


def test_saturation_vapour_pressure_of_fao_56_example_3() -> None:
    np.testing.assert_allclose(saturation_vapour_pressure(np.array([24.5, 15.0])), [3.075, 1.705], atol=1e-3)


def test_humidity_is_100_at_the_dewpoint_and_never_more() -> None:
    mean, span = np.array([10.0, 10.0]), np.array([0.0, 0.0])
    np.testing.assert_allclose(relative_humidity(mean, span, np.array([10.0, 12.0])), 100)


def test_persistent_series_is_stationary_with_its_memory() -> None:
    series = persistent(np.random.default_rng(2), 50_000, 0.75)
    assert series.std() == pytest.approx(1, abs=0.03)
    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(0.75, abs=0.02)
    starts = [persistent(np.random.default_rng(seed), 2, 0.75)[0] for seed in range(2000)]
    assert np.std(starts) == pytest.approx(1, abs=0.05)


def test_day_of_year_counts_from_one_and_knows_leap_years() -> None:
    days = np.array(["2021-01-01", "2021-12-31", "2020-12-31"], dtype="datetime64[D]")
    assert day_of_year(days).tolist() == [1, 365, 366]


def test_summer_is_warm_and_rain_is_damp() -> None:
    days = np.arange(np.datetime64("2000-01-01"), np.datetime64("2060-01-01"))
    rainy = np.random.default_rng(0).random(len(days)) < 0.1
    climate = draw_climate(np.random.default_rng(1), days, rainy)
    humidity = relative_humidity(climate.mean, climate.span, climate.dewpoint)
    month = days.astype("datetime64[M]").astype(int) % 12 + 1
    assert climate.mean[month == 8].mean() - climate.mean[month == 2].mean() == pytest.approx(11, abs=0.8)
    assert humidity[rainy].mean() > humidity[~rainy].mean() + 10
    assert (climate.dewpoint <= climate.mean - climate.span / 2).all()


def test_temperature_falls_by_the_lapse_rate(configure, landscape_of) -> None:
    weather = build_weather(configure(), landscape_of())
    heights = Points(np.zeros(2), np.zeros(2), np.array([100.0, 1100.0]))
    low, high = weather.mean_temperature(40, heights)
    assert low - high == pytest.approx(6.5)
