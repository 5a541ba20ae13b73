import math

import numpy as np
import pandas as pd
import pytest

from mlssm.evaluation.ground.rescaling import Cdf, MeanStd, fit_rescaling
from mlssm.evaluation.ground.scores import HowToScore, anomalies, gain, score
from mlssm.scores.bootstrap import Resampling

HOW = HowToScore("mean_std", 35, 30, 50, Resampling(400, 0.95, 0))
DAYS = pd.date_range("2021-01-01", periods=600)


def persistent(rng: np.random.Generator, n: int, decay: float = 0.85) -> np.ndarray:
    """Standard normal, of neighbours that are alike."""
    found, shocks = np.empty(n), rng.standard_normal(n)
    found[0] = shocks[0]
    for day in range(1, n):
        found[day] = decay * found[day - 1] + math.sqrt(1 - decay**2) * shocks[day]
    return found


def pair(seed: int, r: float, n: int = 600) -> tuple[pd.Series, pd.Series]:
    """SSM and a station's m3/m3 whose correlation is r over many years."""
    rng = np.random.default_rng(seed)
    truth, other = persistent(rng, n), persistent(rng, n)
    ssm = 0.4 + 0.15 * (r * truth + math.sqrt(1 - r**2) * other)
    index = pd.date_range("2021-01-01", periods=n)
    return pd.Series(ssm, index), pd.Series(0.2 + 0.05 * truth, index)


def test_scores_are_those_of_numpy_and_of_the_closed_form() -> None:
    ssm, station = pair(0, 0.8)
    found = score(ssm, station, HOW)
    r = np.corrcoef(ssm, station)[0, 1]
    assert found.n == 600
    assert found.r.value == pytest.approx(r)
    # two series of one mean and spread s lie s sqrt(2 (1 - r)) apart
    assert found.ubrmsd.value == pytest.approx(station.std(ddof=0) * math.sqrt(2 * (1 - r)))
    assert found.r.interval.low < r < found.r.interval.high
    assert found.ubrmsd.interval.low < found.ubrmsd.value < found.ubrmsd.interval.high
    assert found.r.interval.low > 0
    assert found.reason == ""
    # none of it asks for the level or the unit
    again = score(3 + 7 * ssm, station, HOW)
    assert again.r.value == pytest.approx(r)
    assert again.ubrmsd.value == pytest.approx(found.ubrmsd.value)


@pytest.mark.slow
def test_intervals_hold_what_many_years_have() -> None:
    """Of neighbouring days that are alike: single days as independent ones would give a third of the width."""
    fast = HowToScore("mean_std", 35, 30, 50, Resampling(200, 0.95, 0))
    for r in (0.0, 0.7):
        held = 0
        for seed in range(40):
            ends = score(*pair(seed + 100, r), fast).r.interval
            held += ends.low <= r <= ends.high
        assert 33 <= held <= 40, r
    single = HowToScore("mean_std", 35, 1, 50, Resampling(200, 0.95, 0))
    narrow = [score(*pair(seed + 100, 0.0), single).r.interval for seed in range(40)]
    assert sum(ends.low <= 0 <= ends.high for ends in narrow) < 30


def test_anomalies_lose_the_season_and_keep_the_days() -> None:
    rng = np.random.default_rng(1)
    season = np.sin(2 * np.pi * np.arange(600) / 365)
    days = persistent(rng, 600, 0.5)
    one = pd.Series(season + 0.2 * days, DAYS)
    other = pd.Series(season + 0.2 * rng.standard_normal(600), DAYS)
    found = score(one, other, HOW)
    assert found.r.value > 0.9
    assert abs(found.anomaly_r.value) < 0.15
    alike = score(one, pd.Series(-season + 0.2 * days, DAYS), HOW)
    assert alike.r.value < -0.8
    assert alike.anomaly_r.value > 0.8


def test_an_anomaly_is_what_is_left_of_the_mean_of_the_days_around() -> None:
    values = pd.Series(np.arange(100.0) ** 2, pd.date_range("2021-01-01", periods=100))
    found = anomalies(values, 35)
    around = values.iloc[50 - 17 : 50 + 18]
    assert found.iloc[50] == pytest.approx(values.iloc[50] - around.mean())


def test_a_gain_is_paired() -> None:
    ssm, station = pair(2, 0.8)
    worse = ssm + 0.3 * np.random.default_rng(3).standard_normal(600)
    one, other = score(ssm, station, HOW), score(worse, station, HOW)
    found = gain(one, other)
    assert found.value == pytest.approx(one.r.value - other.r.value)
    assert 0 < found.interval.low < found.value < found.interval.high
    same = gain(one, one)
    assert (same.value, same.interval.low, same.interval.high) == (0, 0, 0)
    # of other days nothing can be paired
    short = score(ssm[:300], station[:300], HOW)
    assert math.isnan(gain(one, short).value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.r_[np.arange(40.0), np.full(560, np.nan)], "40 days, fewer than 50"),
        (np.full(600, 0.3), "the values do not vary"),
    ],
)
def test_what_cannot_be_scored_says_why(values: np.ndarray, told: str) -> None:
    _, station = pair(0, 0.8)
    found = score(pd.Series(values, DAYS), station, HOW)
    assert found.reason == told
    assert math.isnan(found.r.value)
    assert math.isnan(found.ubrmsd.interval.low)
    assert np.isnan(found.r.interval.low)


def test_few_blocks_have_no_interval() -> None:
    ssm, station = pair(0, 0.8, 80)
    found = score(ssm, station, HOW)
    assert found.reason == "4 blocks of 30 days: no interval"
    assert found.r.value > 0.5
    assert math.isnan(found.r.interval.low)
    assert math.isnan(found.anomaly_r.interval.low)


def test_mean_and_spread_are_brought_over_as_pytesmo_does() -> None:
    from pytesmo.scaling import mean_std

    ssm, station = (each.to_numpy() for each in pair(4, 0.5))
    np.testing.assert_allclose(MeanStd.fit(ssm, station)(ssm), mean_std(ssm, station), rtol=1e-12)
    # other values go the same way
    np.testing.assert_allclose(MeanStd.fit(ssm, station)(ssm + 1) - mean_std(ssm, station), station.std() / ssm.std())


def test_a_distribution_is_brought_over_also_where_many_values_are_0() -> None:
    rng = np.random.default_rng(5)
    ssm = np.clip(rng.normal(0.3, 0.3, 2000), 0, 1)
    station = 0.1 + 0.3 * rng.random(2000) ** 3
    rescaled = fit_rescaling("cdf", ssm, station)
    assert isinstance(rescaled, Cdf)
    found = rescaled(ssm)
    np.testing.assert_allclose(np.quantile(found, [0.3, 0.5, 0.9]), np.quantile(station, [0.3, 0.5, 0.9]), atol=0.01)
    ordered = np.sort(ssm)
    assert (np.diff(rescaled(ordered)) >= -1e-9).all()
    assert np.isnan(rescaled(np.array([np.nan, 0.5]))).tolist() == [True, False]
    scored = score(
        pd.Series(ssm[:600], DAYS), pd.Series(station[:600], DAYS), HowToScore("cdf", 35, 30, 50, HOW.resampling)
    )
    assert scored.ubrmsd.value > 0
