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
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch import Tensor

from mlssm.scores.sums import (
    SCORES,
    SUMS,
    Distribution,
    MeanLoss,
    Scores,
    ScoreSums,
    per_area,
    per_bin,
    per_date,
    pixel_sums,
    score_values,
    scores,
)

DATES, BINS = 4, 5
Pixels = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Array = npt.NDArray[np.float64]


def _pixels(patches: int = 12, seed: int = 0) -> Pixels:
    generator = torch.Generator().manual_seed(seed)
    target, noise, draw, error = torch.rand(4, patches, 1, 3, 4, generator=generator)
    target = target**2  # more dry than wet, so that balanced differs from natural
    valid = draw > 0.3
    prediction = (0.6 * target + 0.3 * noise + 0.05).clamp(0, 1)
    standard_error = torch.where(valid, 0.05 + 0.1 * error, torch.nan)
    date = torch.randint(0, DATES, (patches,), generator=generator)
    return prediction, torch.where(valid, target, torch.nan), valid, standard_error, date


def _sums(pixels: Pixels) -> Tensor:
    metric = ScoreSums(DATES, BINS)
    metric.update(*pixels)
    return metric.compute()


def _expected(p: Array, y: Array, se: Array, weights: Array) -> Scores:
    spread = np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)
    covariance = np.cov(y, p, aweights=weights)
    return Scores(
        n=len(y),
        r2=r2_score(y, p, sample_weight=weights),
        rmse=math.sqrt(mean_squared_error(y, p, sample_weight=weights)),
        mae=mean_absolute_error(y, p, sample_weight=weights),
        corr=covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]),
        bias=float(np.average(p - y, weights=weights)),
        r2_ceiling=float(1 - np.average(se**2, weights=weights) / spread),
    )


def _selected(pixels: Pixels) -> tuple[Array, Array, Array, npt.NDArray[np.int64]]:
    prediction, target, valid, standard_error, date = pixels
    p, y, se = (values[valid].double().numpy() for values in (prediction, target, standard_error))
    return p, y, se, np.repeat(date.numpy(), 12)[valid.flatten().numpy()]


def _weights(y: Array) -> Array:
    counts, edges = np.histogram(y, BINS, (0, 1))
    return 1 / counts[np.digitize(y, edges[1:-1])]


def _assert_equal(found: Scores, expected: Scores, tolerance: float = 1e-12) -> None:
    assert astuple(found) == pytest.approx(astuple(expected), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_scores_equal_scikit_learn_with_weights(distribution: Distribution) -> None:
    pixels = _pixels()
    p, y, se, _ = _selected(pixels)
    weights = np.ones_like(y) if distribution == "natural" else _weights(y)
    _assert_equal(scores(_sums(pixels), distribution), _expected(p, y, se, weights))


def test_correlation_equals_scipy() -> None:
    pixels = _pixels()
    p, y, _, _ = _selected(pixels)
    assert scores(_sums(pixels)).corr == pytest.approx(pearsonr(p, y).statistic, abs=1e-12)


def test_per_date() -> None:
    pixels = _pixels()
    p, y, se, day = _selected(pixels)
    found = per_date(_sums(pixels))
    assert len(found) == DATES
    for date, score in enumerate(found):
        of_date = day == date
        _assert_equal(score, _expected(p[of_date], y[of_date], se[of_date], np.ones(of_date.sum())))


def test_per_bin() -> None:
    pixels = _pixels(40)
    p, y, se, _ = _selected(pixels)
    found = per_bin(_sums(pixels))
    assert len(found) == BINS
    for index, score in enumerate(found):
        inside = np.digitize(y, np.linspace(0, 1, BINS + 1)[1:-1]) == index
        _assert_equal(score, _expected(p[inside], y[inside], se[inside], np.ones(inside.sum())), 1e-10)


def test_per_area() -> None:
    prediction, target, valid, error, date = _pixels(40)
    block = torch.arange(40) % 3
    sums = pixel_sums(prediction, target, valid, error, date * 3 + block, groups=DATES * 3, bins=BINS)
    found = per_area(sums.reshape(DATES, 3, BINS, len(SUMS)), (0, 1, 0))
    assert len(found) == 2
    for area, blocks in enumerate(((0, 2), (1,))):
        inside = torch.isin(block, torch.tensor(blocks))
        kept = (prediction[inside], target[inside], valid[inside], error[inside], date[inside])
        p, y, se, _ = _selected(kept)
        _assert_equal(found[area], _expected(p, y, se, np.ones_like(y)))


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_many_sums_are_scored_at_once(distribution: Distribution) -> None:
    sums = _sums(_pixels(40))
    found = score_values(sums, distribution)
    assert found.shape == (DATES, len(SCORES))
    for of_date, values in zip(per_date(sums, distribution), found.tolist(), strict=True):
        assert values == [getattr(of_date, name) for name in SCORES]


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
    return scores(pixel_sums(p, y, y >= 0, y * 0, date, groups=1, bins=4), distribution)


@pytest.mark.parametrize("distribution", ["natural", "balanced"])
def test_no_pixels_give_nan(distribution: Distribution) -> None:
    found = _scored([0.5], [math.nan], distribution)
    assert found.n == 0
    assert all(math.isnan(value) for value in astuple(found)[1:])


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", [1, 1000])
def test_constant_labels_give_nan_for_what_needs_spread(value: float, n: int) -> None:
    found = _scored(np.linspace(0, 1, n).tolist(), [value] * n)
    assert [f.name for f in fields(found) if math.isnan(getattr(found, f.name))] == ["r2", "corr", "r2_ceiling"]
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
    sums = pixel_sums(y, y, y >= 0, y, date, groups=3, bins=4)
    assert sums[2, :, SUMS.index("n")].tolist() == [1, 1, 0, 2]
    assert (sums[:2] == 0).all()


def test_the_ceiling_is_the_r2_of_a_model_that_knows_the_truth() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = 0.3 + 0.4 * torch.rand(1, 200_000, generator=generator)
    label = truth + 0.05 * torch.randn(truth.shape, generator=generator)
    error = torch.full_like(truth, 0.05)
    day = torch.zeros(1, dtype=torch.int64)
    found = scores(pixel_sums(truth, label, truth >= 0, error, day, groups=1, bins=5))
    assert found.r2 == pytest.approx(found.r2_ceiling, abs=0.005)
    assert found.r2_ceiling == pytest.approx(1 - 0.05**2 / (0.4**2 / 12 + 0.05**2), abs=0.005)


def test_sums_stay_exact_where_float32_would_not() -> None:
    metric = ScoreSums(1, 1)
    one = torch.ones(1, 2**12)
    for _ in range(3):
        metric.update(one, one * 0.1, one > 0, one, torch.zeros(1, dtype=torch.int64))
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
    prediction, target, valid, error, date = _pixels()
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        pixel_sums(prediction, target, valid, error, date + DATES, groups=DATES, bins=BINS)
