import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from mlssm.config import TracksConfig
from mlssm.evaluation.tracks.conditions import is_morning
from mlssm.evaluation.tracks.pairs import agreement, anomalies, find_pairs, mean_interval, site_means
from mlssm.retrieval.track_variance import nearest
from mlssm.sources.points import PointSeries

HOURS = np.timedelta64(1, "h")


def series(burst: str, times: Any, level: float = -10.0, site: str = "1") -> PointSeries:
    rng = np.random.default_rng(len(times))
    power = 10 ** (level / 10) * rng.uniform(0.9, 1.1, (len(times), 9))
    return PointSeries(site, burst, 0.0, 0.0, np.asarray(times, "datetime64[s]"), {"VV": power, "VH": power / 4})


def every(days: int, hour: int, number: int = 30) -> Any:
    return np.datetime64("2021-01-01T00", "s") + (np.arange(number) * 24 * days + hour) * HOURS


def test_images_are_paired_with_the_nearest_within_the_limit() -> None:
    a = np.datetime64("2021-01-01T00", "s") + np.array([0, 24, 100]) * HOURS
    b = np.datetime64("2021-01-01T00", "s") + np.array([-20, 10, 62]) * HOURS
    of_a, of_b = nearest(a, b, 36)
    np.testing.assert_array_equal(of_a, [0, 1])
    np.testing.assert_array_equal(of_b, [1, 1])


def test_pairs_are_of_tracks_of_one_site_with_the_burst_that_has_most_images_and_no_water() -> None:
    many = [
        series("T001-000001-IW1", every(12, 0)),
        series("T001-000002-IW1", every(12, 0, 40)),
        series("T002-000001-IW1", every(12, 30)),
        series("T003-000001-IW1", every(12, 100)),  # four days off
        series("T004-000001-IW1", every(12, 0), level=-19),  # water
        series("T005-000001-IW1", every(12, 0), site="2"),
    ]
    (pair,) = find_pairs(many, TracksConfig())
    assert (pair.a.burst, pair.b.burst) == ("T001-000002-IW1", "T002-000001-IW1")
    assert len(pair.of_a) == 30
    assert not find_pairs(many, TracksConfig(most_hours=29))


def test_what_are_no_two_tracks_of_the_same_pixels_is_left_out_and_told(caplog: Any) -> None:
    one, other = series("T001-000001-IW1", every(12, 0)), series("T002-000001-IW1", every(12, 12))
    single = dataclasses.replace(other, power={name: each[:, :1] for name, each in other.power.items()})
    assert not find_pairs([one, single], TracksConfig())
    assert "bursts T001-000001-IW1 and T002-000001-IW1 have 9 and 1 pixels" in caplog.text
    swaths = [dataclasses.replace(one, burst=name) for name in ("upper", "lower")]
    assert not find_pairs(swaths, TracksConfig())
    assert "bursts upper and lower are of one pass by their times" in caplog.text


def test_images_without_vv_are_not_compared(caplog: Any) -> None:
    caplog.set_level("INFO")
    one, other = series("T001-000001-IW1", every(12, 0)), series("T002-000001-IW1", every(12, 12))
    (pair,) = find_pairs([one, _without_vv(other, 5)], TracksConfig())
    np.testing.assert_array_equal(pair.of_a, np.arange(5, 30))
    assert not find_pairs([one, _without_vv(other, 11)], TracksConfig())
    assert "19 images of VV are near in time, fewer than 20: left out" in caplog.text
    assert not find_pairs([one, _without_vv(other, 30)], TracksConfig())


def _without_vv(one: PointSeries, images: int) -> PointSeries:
    missing = np.arange(len(one.times))[:, None] < images
    return dataclasses.replace(one, power=one.power | {"VV": np.where(missing, np.nan, one.power["VV"])})


def test_the_agreement_is_numpys_and_ignores_what_is_missing() -> None:
    (pair,) = find_pairs(
        [series("T001-000001-IW1", every(12, 0)), series("T002-000001-IW1", every(12, 5))], TracksConfig()
    )
    rng = np.random.default_rng(0)
    a = rng.normal(0.5, 0.4, 30)
    b = a + rng.normal(0.1, 0.2, 30)
    found = agreement(pair, a, b, 30)
    one, two = np.clip(a, 0, 1), np.clip(b, 0, 1)
    assert math.isclose(found.r, np.corrcoef(one, two)[0, 1])
    assert math.isclose(found.ubrmsd, np.std(a - b))
    assert math.isclose(found.clipped, np.std(one - two))
    b[3] = np.nan
    assert math.isclose(agreement(pair, a, b, 30).r, np.corrcoef(np.delete(one, 3), np.delete(two, 3))[0, 1])


def test_an_anomaly_is_what_a_running_mean_leaves() -> None:
    times = every(12, 0, 5)
    found = anomalies(times, np.array([0.0, 1, 2, 3, 10]), 12)
    np.testing.assert_allclose(found, [0 - 0.5, 0, 0, 3 - 5, 10 - 6.5])
    found = anomalies(times, np.array([0.0, np.nan, 2, 3, 10]), 12)
    np.testing.assert_allclose(found, [0, np.nan, 2 - 2.5, -2, 3.5])


def test_a_site_counts_once_and_the_interval_holds_the_mean() -> None:
    means = site_means(["a", "a", "b", "c"], [0.2, 0.4, 0.9, math.nan])
    assert means == pytest.approx({"a": 0.3, "b": 0.9})
    assert mean_interval(means, 100, 0.95, 0)[0] == pytest.approx(0.6)
    assert math.isnan(mean_interval(means, 100, 0.95, 0)[1])  # two sites tell no interval
    assert math.isnan(mean_interval({}, 100, 0.95, 0)[0])
    values = {str(i): float(v) for i, v in enumerate(np.random.default_rng(1).normal(0.5, 0.1, 400))}
    mean, low, high = mean_interval(values, 2000, 0.95, 0)
    assert abs((high - low) / 2 - 1.96 * np.std([*values.values()]) / 20) < 0.0007
    assert low < mean < high


def test_the_time_of_day_is_the_suns() -> None:
    """13:28 UTC at 111 W is 6:04 by the sun; 1:00 UTC there 17:36."""
    at_night = dataclasses.replace(series("T027-1-IW1", every(12, 13)), longitude=-111.3)
    assert is_morning(at_night)
    assert not is_morning(dataclasses.replace(series("T100-1-IW1", every(12, 1)), longitude=-111.3))
    assert not is_morning(series("T100-1-IW1", every(12, 18)))
    about_midnight = every(12, 0) + np.arange(30) % 2 * np.timedelta64(1, "s") - np.timedelta64(1, "s")
    for longitude, morning in ((90, True), (-90, False)):
        assert is_morning(dataclasses.replace(series("T1-1-IW1", about_midnight), longitude=longitude)) == morning


def test_the_hours_between_two_tracks_are_those_of_the_images_compared() -> None:
    (pair,) = find_pairs([series("T001-1-IW1", every(12, 6)), series("T002-1-IW1", every(12, 18))], TracksConfig())
    assert pair.hours_apart == 12
