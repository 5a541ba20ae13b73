import itertools
import math
from dataclasses import astuple, fields

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch import Tensor

from mlssm.scores.sums import (
    DISTRIBUTIONS,
    SCORES,
    SUMS,
    Distribution,
    MeanLoss,
    Scores,
    ScoreSums,
    per_bin,
    per_date,
    per_extent,
    pixel_sums,
    score_values,
    scores,
)

DATES, BINS = 4, 5
Pixels = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
Array = npt.NDArray[np.float64]
SSM = st.floats(0, 1, width=32)


def _pixels(patches: int = 12, seed: int = 0) -> Pixels:
    generator = torch.Generator().manual_seed(seed)
    target, noise, draw, error = torch.rand(4, patches, 1, 3, 4, generator=generator)
    target = target**2  # more dry than wet, so that balanced differs from natural
    valid = draw > 0.3
    prediction = (0.6 * target + 0.3 * noise + 0.05).clamp(0, 1)
    # the best predictions are two, this one less and more by their spread
    attainable = torch.where(valid, 0.8 * target + 0.1, torch.nan)
    standard_error = ((target - attainable) ** 2 + (0.02 + 0.1 * error) ** 2).sqrt()
    date = torch.randint(0, DATES, (patches,), generator=generator)
    return prediction, torch.where(valid, target, torch.nan), valid, standard_error, attainable, date


def _sums(pixels: Pixels) -> Tensor:
    metric = ScoreSums(DATES, BINS)
    metric.update(*pixels)
    return metric.compute()


def _expected(p: Array, y: Array, se: Array, best: Array, weights: Array) -> Scores:
    """The cap by a regression of each label, twice, on its two best predictions."""
    covariance = np.cov(y, p, aweights=weights)
    spread = np.sqrt(se**2 - (y - best) ** 2)
    both, twice = np.r_[best - spread, best + spread][:, None], np.r_[weights, weights]
    regression = LinearRegression().fit(both, np.r_[y, y], twice)
    return Scores(
        n=len(y),
        r2=r2_score(y, p, sample_weight=weights),
        rmse=math.sqrt(mean_squared_error(y, p, sample_weight=weights)),
        mae=mean_absolute_error(y, p, sample_weight=weights),
        corr=covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]),
        bias=float(np.average(p - y, weights=weights)),
        r2_cap=float(regression.score(both, np.r_[y, y], twice)),
    )


def _selected(pixels: Pixels) -> tuple[Array, Array, Array, Array, npt.NDArray[np.int64]]:
    prediction, target, valid, standard_error, attainable, date = pixels
    floats = prediction, target, standard_error, attainable
    p, y, se, best = (values[valid].double().numpy() for values in floats)
    return p, y, se, best, np.repeat(date.numpy(), 12)[valid.flatten().numpy()]


def _weights(y: Array) -> Array:
    counts, edges = np.histogram(y, BINS, (0, 1))
    return 1 / counts[np.digitize(y, edges[1:-1])]


def _assert_equal(found: Scores, expected: Scores, tolerance: float = 1e-12) -> None:
    assert astuple(found) == pytest.approx(astuple(expected), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_scores_equal_scikit_learn_with_weights(distribution: Distribution) -> None:
    pixels = _pixels()
    p, y, se, best, _ = _selected(pixels)
    weights = np.ones_like(y) if distribution == "natural" else _weights(y)
    _assert_equal(scores(_sums(pixels), distribution), _expected(p, y, se, best, weights))


def test_correlation_equals_scipy() -> None:
    pixels = _pixels()
    p, y, *_ = _selected(pixels)
    assert scores(_sums(pixels)).corr == pytest.approx(pearsonr(p, y).statistic, abs=1e-12)


def test_per_date() -> None:
    pixels = _pixels()
    p, y, se, best, day = _selected(pixels)
    found = per_date(_sums(pixels))
    assert len(found) == DATES
    for date, score in enumerate(found):
        of_date = day == date
        _assert_equal(score, _expected(p[of_date], y[of_date], se[of_date], best[of_date], np.ones(of_date.sum())))


def test_per_bin() -> None:
    pixels = _pixels(40)
    p, y, se, best, _ = _selected(pixels)
    found = per_bin(_sums(pixels))
    assert len(found) == BINS
    for index, score in enumerate(found):
        inside = np.digitize(y, np.linspace(0, 1, BINS + 1)[1:-1]) == index
        _assert_equal(score, _expected(p[inside], y[inside], se[inside], best[inside], np.ones(inside.sum())), 1e-10)


def test_per_extent() -> None:
    prediction, target, valid, error, best, date = _pixels(40)
    block = torch.arange(40) % 3
    sums = pixel_sums(prediction, target, valid, error, best, date * 3 + block, groups=DATES * 3, bins=BINS)
    found = per_extent(sums.reshape(DATES, 3, BINS, len(SUMS)), (0, 1, 0))
    assert len(found) == 2
    for extent, blocks in enumerate(((0, 2), (1,))):
        inside = torch.isin(block, torch.tensor(blocks))
        p, y, *noise, _ = _selected(tuple(each[inside] for each in (prediction, target, valid, error, best, date)))
        _assert_equal(found[extent], _expected(p, y, *noise, np.ones_like(y)))


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_many_sums_are_scored_at_once(distribution: Distribution) -> None:
    sums = _sums(_pixels(40))
    found = score_values(sums, distribution)
    assert found.shape == (DATES, len(SCORES))
    for of_date, values in zip(sums, found.tolist(), strict=True):
        assert values == [getattr(scores(of_date, distribution), name) for name in SCORES]


def test_weights_of_pixels_take_part() -> None:
    """A sum that counts three times is that of pixels that are there three times."""
    sums = _sums(_pixels())
    weights = torch.tensor([3, 1, 0, 2]).double()
    thrice = torch.cat([sums[date : date + 1].repeat(int(times), 1, 1) for date, times in enumerate(weights)])
    for distribution in ("natural", "balanced"):
        values = score_values((weights[:, None, None] * sums).sum(0), distribution).tolist()
        assert values == pytest.approx(astuple(scores(thrice, distribution))[1:], rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.lists(st.integers(1, 11), max_size=8), st.permutations(range(12)))
def test_any_batching_gives_the_same_scores(seed: int, cuts: list[int], order: list[int]) -> None:
    pixels = _pixels(seed=seed)
    metric = ScoreSums(DATES, BINS)
    edges = [0, *sorted(set(cuts)), 12]
    for start, end in itertools.pairwise(edges):
        metric.update(*(values[order[start:end]] for values in pixels))
    assert torch.allclose(metric.compute(), _sums(pixels), rtol=1e-13, atol=0)
    for distribution in ("natural", "balanced"):
        _assert_equal(scores(metric.compute(), distribution), scores(_sums(pixels), distribution))


def test_two_processes_together_equal_one() -> None:
    pixels = _pixels()
    whole, first, second = (ScoreSums(DATES, BINS) for _ in range(3))
    whole.update(*pixels)
    for rank, metric in enumerate((first, second)):
        metric.update(*(values[rank::2] for values in pixels))
    # torchmetrics gathers the states of all processes, then reduces them; the gathering is stood in for here
    first.sync(
        dist_sync_fn=lambda state, group=None: [state, second.sums],
        distributed_available=lambda: True,
    )
    torch.testing.assert_close(first.sums, whole.sums, rtol=1e-13, atol=0)


def _scored(prediction: list[float], target: list[float], distribution: Distribution = "natural") -> Scores:
    p, y = torch.tensor(prediction)[None], torch.tensor(target)[None]
    date = torch.zeros(1, dtype=torch.int64)
    return scores(pixel_sums(p, y, y >= 0, y * 0, y, date, groups=1, bins=4), distribution)


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_no_pixels_give_nan(distribution: Distribution) -> None:
    found = _scored([0.5], [math.nan], distribution)
    assert found.n == 0
    assert all(math.isnan(value) for value in astuple(found)[1:])


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", [1, 1000])
def test_constant_labels_give_nan_for_what_needs_spread(value: float, n: int) -> None:
    found = _scored(np.linspace(0, 1, n).tolist(), [value] * n)
    assert [f.name for f in fields(found) if math.isnan(getattr(found, f.name))] == ["r2", "corr", "r2_cap"]
    assert found.n == n


def test_constant_predictions_give_no_correlation_and_an_r2() -> None:
    found = _scored([0.5] * 3, [0.0, 0.5, 1.0])
    assert math.isnan(found.corr)
    assert found.r2 == pytest.approx(0, abs=1e-12)


def test_perfect_predictions() -> None:
    found = _scored([0.1, 0.4, 0.9], [0.1, 0.4, 0.9])
    _assert_equal(found, Scores(3, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0))
    assert found.rmse == 0


def test_bias_is_prediction_minus_target() -> None:
    assert _scored([0.5, 0.7], [0.4, 0.6]).bias == pytest.approx(0.1)


def test_a_nan_prediction_is_not_hidden() -> None:
    assert math.isnan(_scored([math.nan, 0.5], [0.2, 0.6]).rmse)


@pytest.mark.parametrize(
    ("prediction", "target", "reason"),
    [
        ([0.5], [math.nan], "no labelled pixels"),
        ([math.nan, 0.5], [0.2, 0.6], "predictions are not finite"),
        ([0.1, 0.5], [0.4, 0.4], "labels do not vary"),
        ([0.5, 0.5], [0.4, 0.6], "predictions do not vary"),
        ([0.4, 0.5], [0.4, 0.6], ""),
    ],
)
def test_what_is_not_defined_says_why(prediction: list[float], target: list[float], reason: str) -> None:
    found = _scored(prediction, target)
    assert found.reason == reason
    assert any(math.isnan(value) for value in astuple(found)) == bool(reason)


def test_the_ends_of_the_range_fall_into_the_outer_bins() -> None:
    y = torch.tensor([[0.0, 0.25, 0.999, 1.0]])
    date = torch.tensor([2])
    sums = pixel_sums(y, y, y >= 0, y, y, date, groups=3, bins=4)
    assert sums[2, :, SUMS.index("n")].tolist() == [1, 1, 0, 2]
    assert (sums[:2] == 0).all()


def test_the_cap_is_the_r2_of_the_best_prediction() -> None:
    """Labels of noise 0.05 about a truth that is itself the best prediction, and known by its posterior."""
    generator = torch.Generator().manual_seed(0)
    truth = 0.5 + 0.1 * torch.randn(1, 200_000, generator=generator)
    label = truth + 0.05 * torch.randn(truth.shape, generator=generator)
    share = 0.1**2 / (0.1**2 + 0.05**2)
    best = 0.5 + share * (label - 0.5)
    error = ((label - best) ** 2 + share * 0.05**2).sqrt()
    day = torch.zeros(1, dtype=torch.int64)
    found = scores(pixel_sums(truth, label, label < 9, error, best, day, groups=1, bins=5))
    assert found.r2_cap == pytest.approx(share, abs=0.003)
    assert found.r2 == pytest.approx(found.r2_cap, abs=0.003)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SSM, SSM, SSM), min_size=1, max_size=20))
def test_the_cap_lies_within_0_and_1_whatever_is_attainable(pixels: list[tuple[float, float, float]]) -> None:
    y, best, spread = torch.tensor(pixels, dtype=torch.float64).T[:, None]
    error = ((y - best) ** 2 + spread**2).sqrt()
    sums = pixel_sums(y, y, y >= 0, error, best, torch.zeros(1, dtype=torch.int64), groups=1, bins=4)
    for distribution in DISTRIBUTIONS:
        found = scores(sums, distribution)
        assert math.isnan(found.r2_cap) == math.isnan(found.r2)
        assert math.isnan(found.r2) or 0 <= found.r2_cap <= 1


def test_where_nothing_is_attainable_the_cap_is_0() -> None:
    y = torch.linspace(0, 1, 11)[None]
    best = torch.full_like(y, 0.5)
    sums = pixel_sums(y, y, y >= 0, (y - best).abs(), best, torch.zeros(1, dtype=torch.int64), groups=1, bins=4)
    assert scores(sums).r2_cap == 0


def test_sums_stay_exact_where_float32_would_not() -> None:
    metric = ScoreSums(1, 1)
    one = torch.ones(1, 2**12)
    for _ in range(3):
        metric.update(one, one * 0.1, one > 0, one, one, torch.zeros(1, dtype=torch.int64))
    assert metric.compute()[0, 0, 1].item() == pytest.approx(3 * 2**12 * float(np.float32(0.1)), rel=1e-14)


@pytest.mark.parametrize("cast", ["to", "half", "bfloat16", "float", "set_dtype"])
def test_the_state_stays_float64(cast: str) -> None:
    metric = ScoreSums(DATES, BINS)
    metric.update(*_pixels())
    module = torch.nn.ModuleDict({"val": metric})
    if cast == "to":
        module.to("cpu", torch.bfloat16)
    elif cast == "set_dtype":
        metric.set_dtype(torch.float32)
    else:
        getattr(module, cast)()
    assert torch.equal(metric.compute(), _sums(_pixels()))
    metric.reset()
    assert metric.sums.dtype == torch.float64
    assert not metric.sums.any()


def test_the_mean_loss_is_exact_goes_on_from_its_state_and_stays_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    totals, counts = torch.rand(50, generator=generator), torch.randint(0, 9, (50,), generator=generator)
    first, second = MeanLoss(), MeanLoss()
    for number, (total, count) in enumerate(zip(totals, counts, strict=True)):
        if number == 20:
            second.load_state_dict(first.state_dict())
        (first if number < 20 else second).update(total, count)
    second.to(torch.bfloat16)
    assert second.compute().item() == pytest.approx(math.fsum(totals.tolist()) / int(counts.sum()), rel=1e-14)
    assert second.total.dtype == second.count.dtype == torch.float64


def test_the_mean_loss_of_nothing_is_nan() -> None:
    metric = MeanLoss()
    metric.update(torch.tensor(0.0), torch.tensor(0))
    assert metric.compute().isnan()


def test_the_state_follows_the_device() -> None:
    metric = ScoreSums(DATES, BINS).to("meta")
    assert metric.sums.device.type == "meta"


def test_a_date_out_of_range_is_refused() -> None:
    *pixels, date = _pixels()
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        pixel_sums(*pixels, date + DATES, groups=DATES, bins=BINS)
