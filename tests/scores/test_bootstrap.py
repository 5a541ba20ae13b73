import math
from dataclasses import astuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import Tensor

from mlssm.scores.bootstrap import (
    Interval,
    Resampling,
    difference,
    differs,
    intervals,
    resample,
    skill,
)
from mlssm.scores.sums import SUMS, Distribution, pixel_sums, score_values, scores

Array = npt.NDArray[np.float64]
DATES, BLOCKS, BINS = 6, 4, 3
RESAMPLING = Resampling(60, 0.9, 7)
BOUNDED = ("r2", "rmse", "mae", "corr", "bias")


def _pixels(seed: int = 0, each: int = 5) -> tuple[Array, Array]:
    """Predictions and labels [dates, blocks, pixels], whose errors are shared within dates and blocks."""
    random = np.random.default_rng(seed)
    label = random.uniform(0, 1, (DATES, BLOCKS, each))
    shared = 0.1 * random.normal(size=(DATES, 1, 1)) + 0.1 * random.normal(size=(1, BLOCKS, 1))
    return label + shared + 0.05 * random.normal(size=label.shape), label


def _sums(prediction: Array, label: Array, bins: int = BINS) -> Tensor:
    dates, blocks, each = label.shape
    cell = torch.arange(dates * blocks).repeat_interleave(each)[None]
    p, y = (torch.from_numpy(values.reshape(1, -1)) for values in (prediction, label))
    valid = ~y.isnan()
    flat = pixel_sums(p, y, valid, torch.full_like(y, 0.1), y + 0.1, cell, groups=dates * blocks, bins=bins)
    return flat.reshape(dates, blocks, bins, len(SUMS))


def _brute_force(prediction: Array, label: Array, resampling: Resampling, distribution: Distribution) -> Array:
    """The scores of each draw, pixel by pixel, [draws, 5]."""
    generator = np.random.default_rng(resampling.seed)
    of_date = generator.multinomial(DATES, np.full(DATES, 1 / DATES), resampling.draws)
    of_block = generator.multinomial(BLOCKS, np.full(BLOCKS, 1 / BLOCKS), resampling.draws)
    found = []
    for dates, blocks in zip(of_date, of_block, strict=True):
        times = np.broadcast_to((dates[:, None] * blocks)[:, :, None], label.shape).ravel()
        p, y = np.repeat(prediction.ravel(), times), np.repeat(label.ravel(), times)
        place = np.clip((y * BINS).astype(int), 0, BINS - 1)
        w = np.ones_like(y) if distribution == "natural" else 1 / np.bincount(place, minlength=BINS)[place]
        covariance = np.cov(y, p, aweights=w)
        corr = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        errors = root_mean_squared_error(y, p, sample_weight=w), mean_absolute_error(y, p, sample_weight=w)
        found.append((r2_score(y, p, sample_weight=w), *errors, corr, np.average(p - y, weights=w)))
    return np.array(found)


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_intervals_are_those_of_resampling_pixel_by_pixel(distribution: Distribution) -> None:
    prediction, label = _pixels()
    found = intervals(resample(_sums(prediction, label), RESAMPLING), distribution)
    expected = np.quantile(_brute_force(prediction, label, RESAMPLING, distribution), [0.05, 0.95], axis=0)
    for place, name in enumerate(BOUNDED):
        assert astuple(getattr(found, name)) == pytest.approx(tuple(expected[:, place]), abs=1e-10), name
    assert (found.level, found.reason) == (0.9, "")


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_with_every_weight_one_the_values_are_the_scores(distribution: Distribution) -> None:
    sums = _sums(*_pixels())
    whole = scores(sums, distribution)
    values = score_values(sums.sum((0, 1)), distribution).tolist()
    assert values == pytest.approx([whole.r2, whole.rmse, whole.mae, whole.corr, whole.bias, whole.r2_cap])


def test_cells_that_are_all_alike_leave_no_doubt() -> None:
    sums = _sums(*_pixels())[:1, :1].expand(DATES, BLOCKS, -1, -1)
    found, whole = intervals(resample(sums, RESAMPLING)), scores(sums)
    for name in BOUNDED:
        assert astuple(getattr(found, name)) == pytest.approx((getattr(whole, name),) * 2)


def test_intervals_cover_the_truth_where_dates_and_blocks_share_errors() -> None:
    """Crossed random effects of mean 0; intervals that take cells for independent are too narrow."""
    random, dates, blocks, trials = np.random.default_rng(1), 20, 16, 150
    covered = naive = 0
    for trial in range(trials):
        error = random.normal(size=(dates, 1)) + random.normal(size=(1, blocks)) + random.normal(size=(dates, blocks))
        sums = torch.zeros(dates, blocks, 1, len(SUMS), dtype=torch.float64)
        sums[..., 0, 0] = 1
        sums[..., 0, SUMS.index("prediction")] = torch.from_numpy(error)
        bias = intervals(resample(sums, Resampling(300, 0.95, trial))).bias
        covered += bias.low <= 0 <= bias.high
        naive += abs(error.mean()) <= 1.96 * error.std() / math.sqrt(error.size)
    assert 0.9 <= covered / trials <= 0.99
    assert naive / trials < 0.6


def test_the_same_seed_draws_the_same_and_another_one_others() -> None:
    sums = _sums(*_pixels())
    one, same, other = (resample(sums, Resampling(50, 0.95, seed)).sums for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_memory_is_bounded_by_chunks_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = _sums(*_pixels())
    whole = resample(sums, RESAMPLING).sums
    monkeypatch.setattr("mlssm.scores.bootstrap.CHUNK", 7 * DATES * BLOCKS)
    torch.testing.assert_close(resample(sums, RESAMPLING).sums, whole)


def test_dates_and_blocks_without_pixels_have_no_share() -> None:
    sums = _sums(*_pixels())
    padded = torch.zeros(DATES + 3, BLOCKS + 2, BINS, len(SUMS), dtype=torch.float64)
    padded[1 : DATES + 1, 2:] = sums
    assert torch.equal(resample(padded, RESAMPLING).sums, resample(sums, RESAMPLING).sums)


@pytest.mark.parametrize(("kept", "reason"), [(0, "no labelled pixels"), (1, "one date")])
def test_where_nothing_can_be_resampled_the_reason_is_stated(kept: int, reason: str) -> None:
    found = intervals(resample(_sums(*_pixels())[:kept], RESAMPLING))
    assert all(math.isnan(end) for name in BOUNDED for end in astuple(getattr(found, name)))
    assert found.reason == reason
    assert not differs(found.r2)


def test_on_one_block_dates_alone_are_drawn() -> None:
    prediction, label = _pixels()
    sums = _sums(prediction[:, :1], label[:, :1])
    found = intervals(resample(sums, RESAMPLING))
    assert found.reason == "one block: dates alone were resampled"
    generator = np.random.default_rng(RESAMPLING.seed)
    weights = generator.multinomial(DATES, np.full(DATES, 1 / DATES), RESAMPLING.draws)
    means = [np.average((prediction - label)[:, 0].mean(-1), weights=row) for row in weights]
    assert astuple(found.bias) == pytest.approx(tuple(np.quantile(means, [0.05, 0.95])))


def test_a_score_that_many_draws_lack_has_no_interval() -> None:
    prediction, label = _pixels()
    label[1:] = 0.5  # labels vary on the first date alone, which a third of the draws leave out
    found = intervals(resample(_sums(prediction, label), RESAMPLING))
    assert math.isnan(found.r2.low)
    assert math.isfinite(found.rmse.low)
    assert found.reason.endswith("of 60 draws have no score")


def test_a_model_does_not_differ_from_itself() -> None:
    drawn = resample(_sums(*_pixels()), RESAMPLING)
    found = difference(drawn, drawn)
    assert astuple(found.rmse) == (0, 0)
    assert not differs(found.rmse)


def test_two_models_are_compared_draw_by_draw() -> None:
    prediction, label = _pixels()
    better = prediction + 0.2 * (label - prediction)
    a, b = (resample(_sums(values, label), RESAMPLING) for values in (better, prediction))
    found = difference(a, b)
    one, other = (_brute_force(values, label, RESAMPLING, "natural")[:, 1] for values in (better, prediction))
    assert astuple(found.rmse) == pytest.approx(tuple(np.quantile(one - other, [0.05, 0.95])))
    assert found.rmse.high < 0 < found.r2.low
    assert differs(found.rmse)
    assert differs(found.r2)
    # the intervals of the two overlap all the same: pairing is what tells them apart
    assert intervals(a).rmse.high > intervals(b).rmse.low


def test_models_that_met_other_labels_or_draws_are_not_compared() -> None:
    prediction, label = _pixels()
    sums = _sums(prediction, label)
    drawn = resample(sums, RESAMPLING)
    for other in (
        resample(_sums(prediction, 0.9 * label), RESAMPLING),
        resample(sums, Resampling(60, 0.9, 8)),
        resample(sums, Resampling(50, 0.9, 7)),
    ):
        with pytest.raises(ValueError, match="cannot be compared"):
            difference(drawn, other)


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(-0.2, -0.1, True), (0.1, 0.2, True), (-0.1, 0.1, False), (0.0, 0.1, False), (math.nan, math.nan, False)],
)
def test_a_difference_is_shown_where_zero_lies_outside(low: float, high: float, shown: bool) -> None:
    assert differs(Interval(low, high)) == shown


def test_the_interval_of_a_skill_is_that_of_the_ratio_draw_by_draw() -> None:
    prediction, label = _pixels()
    better = label + 0.5 * (prediction - label)
    drawn, worse = (_brute_force(values, label, RESAMPLING, "natural") for values in (better, prediction))
    expected = np.quantile(1 - (drawn[:, 1] / worse[:, 1]) ** 2, [0.05, 0.95])
    found = skill(*(resample(_sums(values, label), RESAMPLING) for values in (better, prediction)))
    assert (found.low, found.high) == pytest.approx((0.75, 0.75))
    assert expected.tolist() == pytest.approx([0.75, 0.75])
    other = label + 0.1
    drawn = _brute_force(other, label, RESAMPLING, "balanced")
    worse = _brute_force(prediction, label, RESAMPLING, "balanced")
    found = skill(*(resample(_sums(values, label), RESAMPLING) for values in (other, prediction)), "balanced")
    expected = np.quantile(1 - (drawn[:, 1] / worse[:, 1]) ** 2, [0.05, 0.95])
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.low < found.high
    with pytest.raises(ValueError, match="cannot be compared draw by draw"):
        skill(resample(_sums(other, label), RESAMPLING), resample(_sums(label, prediction), RESAMPLING))
