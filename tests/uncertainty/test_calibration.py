from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlssm.bundle.nested import pack, unpack
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.conservative import Conservative
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.uncertainty.shape import GaussianShape, TableShape
from mlssm.uncertainty.tally import ALL, CONSERVATIVE, IntervalTally, Told

Maps = Callable[..., list[HeldOutMap]]
TOLD = Told(0.9, (0.6, 0.8), 100.0, 1, 0)


@pytest.fixture(scope="module")
def few(made_up: Maps) -> Calibration:
    return Calibration.fit(made_up(20, 0), [2020, 2021], "made up")


@pytest.fixture(scope="module")
def many(made_up: Maps) -> Calibration:
    return Calibration.fit(made_up(80, 0), [2020, 2021], "made up")


def test_few_dates_give_a_gaussian_and_many_a_table(few: Calibration, many: Calibration, made_up: Maps) -> None:
    assert isinstance(few.shape, GaussianShape)
    assert isinstance(many.shape, TableShape)
    assert isinstance(Calibration.fit(made_up(59, 0), [2020], "").shape, GaussianShape)


def test_too_few_dates_are_refused(made_up: Maps) -> None:
    with pytest.raises(ValueError, match="4 held-out dates have labels, a calibration needs 5"):
        Calibration.fit(made_up(4, 0), [2020], "")


@pytest.mark.parametrize("dates", [25, 80])
def test_new_dates_are_covered_as_claimed(made_up: Maps, dates: int) -> None:
    """Half of the variance is common to a date: over 5 calibrations of 60 test dates each, within three errors."""
    found = []
    for seed in range(5):
        calibration = Calibration.fit(made_up(dates, seed), [2020], "")
        tally = IntervalTally.of(calibration, made_up(60, 100 + seed), TOLD)
        found.append(tally.scores["coverage"])
    by_date = tally.groups[ALL][:, 0]
    error = (by_date[:, 1] / by_date[:, 0]).std() / np.sqrt(60) + np.std(found)
    assert np.mean(found) == pytest.approx(0.9, abs=3 * error / np.sqrt(5))
    assert np.mean(found) == pytest.approx(0.9, abs=0.03)


def test_conservative_intervals_cover_at_least_as_claimed(made_up: Maps) -> None:
    """With 12 dates whose error is nearly all common, over 25 repetitions."""
    found = []
    for seed in range(25):
        calibration = Calibration.fit(made_up(12, seed, common=0.9), [2020], "")
        tally = IntervalTally.of(calibration, made_up(15, 500 + seed, common=0.9), TOLD)
        found.append(tally.groups[CONSERVATIVE].sum(axis=(0, 1)))
    total = np.sum(found, axis=0)
    assert total[1] / total[0] > 0.9
    wider = [pair[2] for pair in found]
    assert min(wider) > 0


def test_conservative_widths_are_the_next_date_weighted_quantile() -> None:
    z = np.arange(1, 101.0)
    found = Conservative.fit(z, np.full(100, 0.01), 20)
    assert found.half_width(0.9) == 95  # 0.9 x 21 / 20 = 0.945
    assert found.half_width(0.95) == 100  # 0.9975
    assert found.half_width(0.96) == np.inf  # 1.008


def test_without_an_end_the_conservative_interval_is_the_whole_scale(made_up: Maps) -> None:
    calibration = Calibration.fit(made_up(8, 0), [2020], "")
    low, high = calibration.conservative_interval(np.array([0.2, 0.7]), np.array([0.1, 0.1]), 0.9)
    assert (low.tolist(), high.tolist()) == ([0, 0], [1, 1])


unit, width = st.floats(0, 1), st.floats(0.01, 0.6)


@given(unit, width, st.floats(0.05, 0.9), st.floats(0.91, 0.99))
@settings(max_examples=80, deadline=None)
def test_levels_are_nested_and_in_order(
    few: Calibration, many: Calibration, mean: float, scale: float, inner: float, outer: float
) -> None:
    m, s = np.array([mean]), np.array([scale])
    for calibration in (few, many):
        low, high = calibration.interval(m, s, inner)
        wider_low, wider_high = calibration.interval(m, s, outer)
        assert 0 <= wider_low <= low <= calibration.quantile(m, s, 0.5) <= high <= wider_high <= 1
        assert calibration.standard_error(m, s) <= 0.5 + 1e-12
        ends = calibration.conservative_interval(m, s, inner)
        assert 0 <= ends[0] <= mean <= ends[1] <= 1


@given(unit, width, st.floats(0.01, 0.98), st.floats(0.01, 0.98))
@settings(max_examples=80, deadline=None)
def test_probabilities_fall_with_the_threshold_and_agree_with_quantiles(
    few: Calibration, many: Calibration, mean: float, scale: float, one: float, other: float
) -> None:
    m, s = np.array([mean]), np.array([scale])
    for calibration in (few, many):
        less, more = (calibration.exceedance(m, s, threshold) for threshold in sorted((one, other)))
        assert 0 <= more <= less <= 1
        quantile = calibration.quantile(m, s, 0.9)
        if 0.001 < quantile < 0.999:
            assert calibration.exceedance(m, s, float(quantile[0])) == pytest.approx(0.1, abs=1e-6)


def test_few_dates_give_the_closed_form(few: Calibration) -> None:
    m, s = np.array([0.3, 0.95]), np.array([0.1, 0.2])
    low, high = few.interval(m, s, 0.9)
    assert low == pytest.approx(np.clip(stats.norm.ppf(0.05, m, s), 0, 1))
    assert high == pytest.approx(np.clip(stats.norm.ppf(0.95, m, s), 0, 1))
    assert few.exceedance(m, s, 0.6) == pytest.approx(stats.norm.sf(0.6, m, s))


def test_ranks_of_calibrated_labels_are_uniform_with_clipped_ones_drawn(few: Calibration) -> None:
    rng = np.random.default_rng(0)
    mean, scale = rng.random(20_000), rng.uniform(0.05, 0.4, 20_000)
    label = np.clip(rng.normal(mean, scale), 0, 1)
    assert ((label == 0) | (label == 1)).mean() > 0.1
    ranks = few.ranks(mean, scale, label, rng.random(20_000))
    assert stats.kstest(ranks, "uniform").pvalue > 0.01


def test_a_calibration_comes_back_from_a_bundle(many: Calibration) -> None:
    restored = Calibration.restored(unpack(*pack(many.state())))
    m, s = np.linspace(0, 1, 11), np.full(11, 0.2)
    assert restored.interval(m, s, 0.8) == pytest.approx(np.array(many.interval(m, s, 0.8)))
    assert restored.exceedance(m, s, 0.6) == pytest.approx(many.exceedance(m, s, 0.6))
    assert restored.conservative.half_width(0.9) == many.conservative.half_width(0.9)
    assert (restored.dates, restored.seasons, restored.source) == (80, (2020, 2021), "made up")
    span = np.array([2.0, 5.0])
    expected = many.scale.deviation(m[:2], span, span / 10)
    assert restored.scale.deviation(m[:2], span, span / 10) == pytest.approx(expected)
