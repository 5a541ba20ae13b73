import math

import numpy as np
import pytest

from mlssm.evaluation.labels.cap import LabelCap, PairAgreement, label_cap, left_by_speckle, own_share
from mlssm.evaluation.labels.survey import correlation_over_time
from mlssm.retrieval.labels import Labels, relative_moisture
from mlssm.retrieval.references import fit_references

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


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_the_own_share_of_two_tracks_is_the_simulated_one(share: float) -> None:
    labels, spans, common = tracks(share)
    r = correlation_over_time(*labels)
    found = own_share([PairAgreement(r, left_by_speckle(spans, SPREAD))])
    assert found == pytest.approx(share, abs=0.03)
    # the cap is what the best forecast reaches that knows what both tracks share, and nothing of one alone
    speckle = 1 - (3.29 * SPREAD / np.mean(spans)) ** 2
    reached = np.mean(correlation_over_time(common, labels[0]) ** 2)
    assert LabelCap(speckle, found).with_tracks == pytest.approx(reached, abs=0.05)


def test_without_a_second_track_the_share_is_not_known_and_said_so() -> None:
    ssm = np.random.default_rng(0).random((12, 4, 5)).astype(np.float32)
    labels = Labels(ssm, np.full_like(ssm, 0.1), ssm, ssm)
    alone = label_cap(labels, [])
    assert math.isnan(alone.own_share)
    assert math.isnan(alone.with_tracks)
    assert "not known" in str(alone)
    unknown = PairAgreement(np.full((4, 5), np.nan), np.full((4, 5), 0.8))
    assert math.isnan(label_cap(labels, [unknown]).own_share)
    told = label_cap(labels, [PairAgreement(np.full((4, 5), 0.4), np.full((4, 5), 0.8))])
    assert told.own_share == pytest.approx(0.5)
    assert told.speckle == alone.speckle > 0
    assert f"{told.with_tracks:.2f}" in str(told)


def test_tracks_that_agree_more_than_speckle_lets_them_have_no_share_of_their_own() -> None:
    assert own_share([PairAgreement(np.array([0.9]), np.array([0.8]))]) == 0
