from collections.abc import Callable

import numpy as np
import pytest

from mlssm.evaluation.interval_tables import IntervalTables
from mlssm.scores.bootstrap import Resampling
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.uncertainty.tally import ALL, EXTENT, PREDICTED, SPAN, IntervalTally, Told, interval_score

Maps = Callable[..., list[HeldOutMap]]
TOLD = Told(0.9, (0.6, 0.8), 150.0, 2, 3)


@pytest.fixture(scope="module")
def calibration(made_up: Maps) -> Calibration:
    return Calibration.fit(made_up(20, 0), [2020], "")


@pytest.fixture(scope="module")
def tally(calibration: Calibration, made_up: Maps) -> IntervalTally:
    return IntervalTally.of(calibration, made_up(6, 9), TOLD)


def test_the_interval_score_is_the_sum_of_two_quantile_losses() -> None:
    """Gneiting & Raftery 2007: 2 / alpha times the pinball losses of both ends."""
    rng = np.random.default_rng(0)
    low, label = rng.random(50), rng.random(50)
    high = low + rng.random(50)
    pinball = [np.maximum(q * (label - end), (q - 1) * (label - end)) for q, end in ((0.05, low), (0.95, high))]
    assert interval_score(low, high, label, 0.9) == pytest.approx(2 / 0.1 * (pinball[0] + pinball[1]))


def test_groups_split_the_same_pixels(tally: IntervalTally) -> None:
    whole = tally.groups[ALL].sum(axis=1)
    for name in (PREDICTED, SPAN, EXTENT):
        assert tally.groups[name].sum(axis=1) == pytest.approx(whole)
    assert tally.pit.sum(axis=1) == pytest.approx(whole[:, 0])
    assert tally.reliability[..., 0].sum(axis=(1, 2)) == pytest.approx(2 * whole[:, 0])


def test_a_date_is_counted_by_hand(calibration: Calibration, made_up: Maps) -> None:
    (each,) = made_up(1, 4)
    found = IntervalTally.of(calibration, [each], TOLD).groups[ALL][0, 0]
    low, high = calibration.interval(each.mean, calibration.deviation(each), 0.9)
    inside = (low <= each.label) & (each.label <= high)
    assert found[:2].tolist() == [each.known.sum(), inside[each.known].sum()]
    assert found[2] == pytest.approx((high - low)[each.known].sum())


def test_folds_join_by_date(calibration: Calibration, made_up: Maps, tally: IntervalTally) -> None:
    first = IntervalTally.of(calibration, made_up(6, 9)[:2], TOLD)
    rest = IntervalTally.of(calibration, made_up(6, 9)[2:], TOLD)
    joined = IntervalTally.joined([rest, first])
    assert joined.times == tally.times
    assert joined.groups[ALL] == pytest.approx(tally.groups[ALL])
    assert joined.scores == pytest.approx(tally.scores)
    assert IntervalTally.joined([first, first]).groups[ALL] == pytest.approx(2 * first.groups[ALL])


def test_it_comes_back_from_its_arrays(tally: IntervalTally) -> None:
    again = IntervalTally.of_arrays(tally.arrays())
    assert (again.times, again.thresholds, again.level) == (tally.times, tally.thresholds, tally.level)
    assert again.reliability.tolist() == tally.reliability.tolist()
    assert again.groups.keys() == tally.groups.keys()


def test_tables_say_coverage_with_its_interval_over_dates_and_the_worst_date(tally: IntervalTally) -> None:
    days = np.datetime64("2020-11-01") + np.arange(6)
    tables = IntervalTables.of(tally, days, np.array([2020] * 3 + [2021] * 3), Resampling(300, 0.95, 0))
    whole = tables.groups[tables.groups["of"] == "all"].iloc[0]
    assert whole["low"] < whole["coverage"] < whole["high"]
    assert whole["coverage"] == pytest.approx(tally.scores["coverage"])
    by_date = tables.groups[tables.groups["of"] == "date"]
    worst = by_date.loc[by_date["coverage"].idxmin(), "group"]
    assert "on 6 held-out dates in 2 seasons" in tables.sentence
    assert f"worst date {worst}" in tables.sentence
    assert by_date["low"].isna().all()  # one date tells nothing of its own luck
    assert tables.pit["share"].sum() == pytest.approx(1)
    assert set(tables.reliability["threshold"]) == {0.6, 0.8}


def test_dates_that_are_all_alike_have_no_spread_of_coverage(calibration: Calibration, made_up: Maps) -> None:
    (each,) = made_up(1, 5)
    one = IntervalTally.of(calibration, [each], TOLD)
    same = [IntervalTally.of_arrays({**one.arrays(), "times": np.array([time])}) for time in range(4)]
    days = np.datetime64("2020-11-01") + np.arange(4)
    tables = IntervalTables.of(IntervalTally.joined(same), days, np.full(4, 2020), Resampling(200, 0.95, 0))
    whole = tables.groups.iloc[0]
    assert whole["low"] == pytest.approx(whole["high"])
