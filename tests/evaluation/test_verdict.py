"""The verdict on sums whose errors are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mlssm.evaluation.rows import score_rows
from mlssm.evaluation.table import Kind
from mlssm.evaluation.verdict import FEW_DATES, LOW_CAP, Verdict, cautions, verdict
from mlssm.scores.bootstrap import Resampling
from mlssm.scores.sums import SUMS, pixel_sums

RESAMPLING = Resampling(400, 0.95, 0)
KINDS: dict[str, Kind] = {"net": "network", "mean": "baseline", "rain": "baseline"}
DATES, BLOCKS, PIXELS = 8, 4, 30


def _sums(error: float, *, dates: int = DATES, noise: float = 0.0, blocks: int = BLOCKS) -> Tensor:
    """Sums of predictions that are off by `error`, to either side in turn, more or less by date."""
    draw = np.random.default_rng(1)
    y = torch.from_numpy(draw.random((1, DATES * BLOCKS * PIXELS)))
    side = torch.ones_like(y)
    side[:, ::2] = -1
    of_date = torch.from_numpy(np.repeat(1 + noise * draw.standard_normal(DATES), BLOCKS * PIXELS))[None]
    cell = torch.arange(DATES * BLOCKS).repeat_interleave(PIXELS)[None]
    valid = torch.ones_like(y, dtype=torch.bool)
    sums = pixel_sums(y + error * side * of_date, y, valid, 0.1 * y, 0.9 * y, cell, groups=DATES * BLOCKS, bins=5)
    return sums.reshape(DATES, BLOCKS, 5, len(SUMS))[:dates, :blocks]


def _verdict(net: Tensor, rain: Tensor, mean: Tensor | None = None) -> Verdict:
    sums = {"net": net, "mean": _sums(0.4)[: len(net), : net.shape[1]] if mean is None else mean, "rain": rain}
    return verdict(score_rows("test", sums, ("natural",), KINDS, RESAMPLING), sums, RESAMPLING)


def test_a_constant_gain_is_better_by_just_that() -> None:
    found = _verdict(_sums(0.10), _sums(0.12))
    assert found == Verdict("better", "net is better than rain by 0.020 RMSE (0.020 to 0.020)", ())


def test_a_constant_loss_is_worse_and_not_to_be_used() -> None:
    found = _verdict(_sums(0.15), _sums(0.12))
    assert (found.side, found.sentence) == (
        "worse",
        "net is worse than rain by 0.030 RMSE (0.030 to 0.030): do not use it",
    )


def test_the_interval_is_that_of_dates_drawn_together() -> None:
    net = _sums(0.10, noise=0.3)
    found = _verdict(net, _sums(0.2))
    squares = net[..., SUMS.index("(prediction - target)^2")].sum((1, 2)).numpy() / (BLOCKS * PIXELS)
    drawn = squares[np.random.default_rng(7).integers(DATES, size=(4000, DATES))].mean(1)
    expected = np.quantile(0.2 - np.sqrt(drawn), [0.025, 0.975])
    low, high = (float(word) for word in found.sentence.rpartition("(")[2].rstrip(")").split(" to "))
    assert found.side == "better"
    assert (low, high) == pytest.approx(expected, abs=0.006)
    assert high - low > 0.02


def test_what_is_not_shown_is_not_claimed() -> None:
    found = _verdict(_sums(0.12, noise=0.5), _sums(0.12))
    assert found.side == "not told apart"
    assert found.sentence.startswith("net is not told apart from rain: RMSE ")
    low, high = (float(word) for word in found.sentence.rpartition("(")[2].rstrip(")").split(" to "))
    assert low < 0 < high


def test_equal_predictions_are_not_told_apart() -> None:
    assert _verdict(_sums(0.1), _sums(0.1)).side == "not told apart"


def test_it_is_judged_by_the_best_baseline() -> None:
    assert _verdict(_sums(0.10), _sums(0.12), mean=_sums(0.05)).sentence.startswith("net is worse than mean by 0.050")


def test_one_date_gives_no_interval_and_says_so() -> None:
    found = _verdict(_sums(0.1, dates=1), _sums(0.2, dates=1))
    assert found.sentence == "net is not told apart from rain: no interval (one date)"
    assert found.cautions == ("only 1 test date: the scores are of those days' weather, and say little of others",)


def test_two_dates_are_told_though_the_interval_is_narrow() -> None:
    found = _verdict(_sums(0.1, dates=2), _sums(0.2, dates=2))
    assert found.side == "better"
    assert found.cautions[0].startswith("only 2 test dates: ")
    assert found.lines == (found.sentence, *found.cautions)


def test_one_block_still_has_a_verdict() -> None:
    found = _verdict(_sums(0.1, blocks=1), _sums(0.2, blocks=1))
    assert found.side == "better"
    assert found.cautions == ("intervals: one block: dates alone were resampled",)


def test_without_a_baseline_there_is_no_comparison() -> None:
    sums = {"net": _sums(0.1)}
    found = verdict(score_rows("test", sums, ("natural",), KINDS, RESAMPLING), sums, RESAMPLING)
    assert (found.side, found.sentence) == (
        "not compared",
        "net was not compared: no baseline has a score on the test split",
    )


@pytest.mark.parametrize(
    ("dates", "cap", "expected"), [(FEW_DATES, LOW_CAP, 0), (4, 0.3, 1), (9, 0.29, 1), (2, 0.1, 2)]
)
def test_few_dates_and_noisy_labels_are_told(dates: int, cap: float, expected: int) -> None:
    assert len(cautions(dates, cap)) == expected


def test_an_unknown_cap_is_no_low_one() -> None:
    assert cautions(20, math.nan) == ()


def test_a_low_cap_says_what_it_is_and_the_cure() -> None:
    (found,) = cautions(20, 0.213)
    assert found.startswith("the cap of R2 is 0.21: ")
    assert "retrieval.multilook_m" in found
