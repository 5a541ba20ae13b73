import math

import numpy as np
import pytest

from mlssm.evaluation.labels.cap import LabelCap, left_by_speckle
from mlssm.evaluation.labels.survey import correlation_over_time
from mlssm.retrieval.labels import Labels, relative_moisture
from mlssm.retrieval.references import fit_references
from mlssm.retrieval.track_variance import UNKNOWN, TrackVariance, track_variance

SPREAD, PIXELS, DATES = 0.6, 900, 160


def tracks(share: float) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Labels and spans of two tracks, of whose variance without speckle a share is their own; and what they share."""
    rng = np.random.default_rng(3)
    shape = DATES, 30, PIXELS // 30
    common = 2 * math.sqrt(1 - share) * rng.normal(size=shape)
    labels, spans = [], []
    for _ in range(2):
        sigma = -11 + common + 2 * math.sqrt(share) * rng.normal(size=shape) + SPREAD * rng.normal(size=shape)
        found = fit_references(sigma, 5, 95, 5)
        labels.append(relative_moisture(sigma, found.dry, found.wet))
        spans.append(found.sensitivity)
    return labels, spans, common


def of_both(labels: list[np.ndarray], spans: list[np.ndarray]) -> TrackVariance:
    """The tracks' images in turn, some hours apart."""
    ssm = np.stack(labels, axis=1).reshape(2 * DATES, PIXELS)
    speckle = np.tile([(SPREAD / span.ravel()) ** 2 for span in spans], (DATES, 1))
    days = np.repeat(np.datetime64("2020-01-01T02:00", "s") + np.arange(DATES) * np.timedelta64(6, "D"), 2)
    times = days + np.tile([0, 12], DATES) * np.timedelta64(1, "h")
    return track_variance(ssm, speckle, np.tile([1, 2], DATES), times, 37)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_the_tracks_own_variance_is_the_simulated_one(share: float) -> None:
    labels, spans, common = tracks(share)
    found = of_both(labels, spans)
    whole, speckle = labels[0].var(axis=0).mean(), (SPREAD**2 / spans[0] ** 2).mean()
    assert found.value / (whole - speckle) == pytest.approx(share, abs=0.03)
    # as the correlation of the two has it (Lord & Novick 1968, Statistical Theories of Mental Test Scores, 3.3)
    r = correlation_over_time(*labels).mean()
    assert r / left_by_speckle(spans, SPREAD).mean() == pytest.approx(1 - share, abs=0.03)
    # the cap is what the best forecast reaches that knows what both tracks share, and nothing of one alone
    error = np.full_like(labels[0], math.sqrt(speckle))
    cap = LabelCap.of(Labels(labels[0], error, labels[0], labels[0]), found)
    reached = np.mean(correlation_over_time(common, labels[0]) ** 2)
    assert (cap.speckle - found.value / labels[0].var()) == pytest.approx(cap.with_tracks)
    assert 1 - speckle / whole - found.value / whole == pytest.approx(reached, abs=0.05)


def test_without_a_second_track_that_is_not_known_and_said_so() -> None:
    ssm = np.random.default_rng(0).random((12, 4, 5)).astype(np.float32)
    labels = Labels(ssm, np.full_like(ssm, 0.1), ssm, ssm)
    alone = LabelCap.of(labels, UNKNOWN)
    assert math.isnan(alone.with_tracks)
    assert "no two tracks tell" in str(alone)
    told = LabelCap.of(labels, TrackVariance(0.02, 0.001, 9))
    assert told.with_tracks == pytest.approx(told.speckle - 0.02 / ssm.var(), rel=1e-5)
    assert told.speckle == alone.speckle > 0
    assert f"{told.with_tracks:.2f}" in str(told)
