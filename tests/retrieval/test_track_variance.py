"""What a track sees alone, against simulations where it is known."""

import logging
import math

import numpy as np
import pytest
import torch

from mlssm.retrieval.track_variance import LEAST, TrackVariance, tell_far, track_variance
from mlssm.scores.sums import pixel_sums, scores

HOURS = np.timedelta64(1, "h")
COMMON, SPECKLE = 0.15, 0.04  # standard deviations, SSM


def passes(count: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Orbits and times of two tracks, every 12 days, the second some hours after the first."""
    first = np.datetime64("2021-01-01T14:00", "s") + np.arange(count) * np.timedelta64(12, "D")
    times = np.concatenate([first, first + (round(apart * 60) * np.timedelta64(1, "m"))])
    order = np.argsort(times, kind="stable")
    return np.repeat([64, 137], count)[order], times[order]


def labels(orbits: np.ndarray, own: float, seed: int, offset: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Labels well within 0..1, [time, pixel], and what both tracks share; pairs of images see the same."""
    rng, pixels = np.random.default_rng(seed), 400
    common = np.repeat(rng.normal(0, COMMON, (len(orbits) // 2, 1)), 2, axis=0) + rng.normal(0, 0.02, pixels)
    # what a track sees alone is like over the pixels of an image: that is the harder case for the standard error
    alone = own * (rng.normal(0, 0.8, (len(orbits), 1)) + rng.normal(0, 0.6, (len(orbits), pixels)))
    lasting = np.where(orbits == 64, offset, -offset)[:, None] * rng.random(pixels)
    return 0.5 + common + alone + lasting + rng.normal(0, SPECKLE, common.shape), 0.5 + common


@pytest.mark.parametrize("own", [0.0, 0.05, 0.1])
def test_the_variance_is_the_simulated_one_within_its_standard_error(own: float) -> None:
    """Over many simulations the estimate is right in the mean, and spreads as its standard error says."""
    orbits, times = passes(40, 12)
    found = [
        track_variance(ssm, np.full(ssm.shape, SPECKLE**2), orbits, times, 37)
        for ssm in (labels(orbits, own, seed)[0] for seed in range(30))
    ]
    values, errors = np.array([each.value for each in found]), np.array([each.error for each in found])
    assert found[0].pairs == 40
    assert values.mean() == pytest.approx(own**2, abs=4 * errors.mean() / math.sqrt(len(found)) + 1e-5)
    if own:
        assert values.std() == pytest.approx(errors.mean(), rel=0.4)
        assert own**2 > 3 * errors.mean()


@pytest.mark.parametrize("own", [0.0, 0.05, 0.1])
def test_the_cap_is_the_r2_of_the_best_prediction_that_knows_what_tracks_share(own: float) -> None:
    """Labels are what tracks share, what one sees alone, and speckle: the cap is the first's share of the variance."""
    orbits, times = passes(60, 12)
    ssm, common = labels(orbits, own, 1, offset=0)
    found = track_variance(ssm, np.full(ssm.shape, SPECKLE**2), orbits, times, 37)
    y = torch.from_numpy(ssm)
    # the best prediction that knows all but the speckle: the label drawn to the mean, by what is no speckle
    kept = 1 - SPECKLE**2 / ssm.var()
    best = y.mean() + kept * (y - y.mean())
    error = ((y - best) ** 2 + kept * SPECKLE**2).sqrt()
    date = torch.zeros(len(y), dtype=torch.int64)
    sums = pixel_sums(torch.from_numpy(common), y, y.isfinite(), error, best, date, groups=1, bins=10)
    alone, both = scores(sums), scores(sums, track_variance=found.value)
    assert alone.r2_cap == pytest.approx(kept, abs=0.01)
    sampling = 3 * found.error / ssm.var() + 0.005
    assert both.r2_cap == pytest.approx(1 - (SPECKLE**2 + own**2) / ssm.var(), abs=sampling)
    assert both.r2_cap == pytest.approx(both.corr**2, abs=sampling + 0.01)
    assert (both.n, both.r2, both.rmse, both.corr) == (alone.n, alone.r2, alone.rmse, alone.corr)
    if own:
        assert alone.r2_cap - both.r2_cap > sampling, "speckle alone would be seen"


def test_balanced_and_unknown_caps() -> None:
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.beta(1, 3, 5000))
    sums = pixel_sums(
        y, y, y >= 0, torch.full_like(y, 1e-6), y, torch.zeros(5000, dtype=torch.int64), groups=1, bins=10
    )
    weights = 1 / np.histogram(y, 10, (0, 1))[0][np.minimum((y.numpy() * 10).astype(int), 9)]
    spread = np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)
    assert scores(sums, "balanced", 0.01).r2_cap == pytest.approx(1 - 0.01 / spread)
    assert scores(sums, "natural", 0.01).r2_cap == pytest.approx(1 - 0.01 / y.numpy().var())
    assert scores(sums, "natural", 10.0).r2_cap == 0
    assert scores(sums, "natural", math.nan) == scores(sums)
    empty = torch.zeros_like(sums)
    assert math.isnan(scores(empty, "natural", 0.01).r2_cap)


def test_tracks_that_are_far_apart_in_time_tell_nothing() -> None:
    ssm = np.random.default_rng(0).random((40, 5))
    for hours, orbits in ((144, passes(20, 144)), (12, (np.full(40, 64), passes(20, 12)[1]))):
        found = track_variance(ssm, np.zeros_like(ssm), *orbits, 37)
        assert math.isnan(found.value), hours
        assert found.pairs == 0
        assert "of speckle alone" in str(found)
    few = passes(LEAST - 1, 12)
    assert math.isnan(track_variance(ssm[: len(few[0])], ssm[: len(few[0])], *few, 37).value)


def test_masked_labels_and_lasting_offsets_do_not_count() -> None:
    """A pixel's lasting offset between tracks is in their references; a pixel with few dates has no say."""
    orbits, times = passes(30, 12)
    ssm, _ = labels(orbits, 0.08, 5)
    whole = track_variance(ssm, np.full(ssm.shape, SPECKLE**2), orbits, times, 37)
    moved = ssm + np.where(orbits == 64, 0.3, -0.3)[:, None]
    assert track_variance(moved, np.full(ssm.shape, SPECKLE**2), orbits, times, 37).value == pytest.approx(whole.value)
    masked = ssm.copy()
    masked[:, 10:20] += np.random.default_rng(0).normal(0, 3, (len(ssm), 10))
    masked[LEAST:, 10:20] = np.nan
    others = np.delete(ssm, slice(10, 20), axis=1)
    speckle = np.full(ssm.shape, SPECKLE**2)
    found, expected = (
        track_variance(each, speckle[:, : each.shape[1]], orbits, times, 37) for each in (masked, others)
    )
    assert (found.value, found.error) == pytest.approx((expected.value, expected.error), rel=1e-9)


def test_folds_share_one_variance() -> None:
    one, other = TrackVariance(0.01, 0.002, 40), TrackVariance(0.03, 0.004, 30)
    assert TrackVariance.pooled([one, other]) == TrackVariance(pytest.approx(0.02), pytest.approx(0.003), 30)
    assert math.isnan(TrackVariance.pooled([one, TrackVariance()]).value)
    assert "0.141 SSM" in str(TrackVariance(0.02, 0.001, 9))


def test_images_that_are_days_apart_are_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    tell_far(37)
    assert not caplog.messages
    tell_far(200)
    (message,) = caplog.messages
    assert message.startswith("tracks.most_hours=200 compares images of two tracks that are days apart")
