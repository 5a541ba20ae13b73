import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score, precision_score, recall_score
from torch import Tensor

from mlssm.scores.cells import LabelledPixels
from mlssm.scores.detection import WetTally, detections

THRESHOLDS = (0.7, 0.3, 0.8)  # as float32 one lies below and two above those of float64


def _counts(date: Tensor, target: Tensor, prediction: Tensor, dates: int = 1) -> Tensor:
    tally = WetTally(["model"], dates, THRESHOLDS)
    none = torch.zeros(0, dtype=torch.int64)
    pixels = LabelledPixels(none, *[target.double()] * 3, date, none, none)
    tally.add("model", tally.row(pixels), prediction.double())
    return tally.counts["model"]


def _scored(target: list[float], prediction: list[float]) -> list[tuple[float, float, float, str]]:
    date = torch.zeros(len(target), dtype=torch.int64)
    counts = _counts(date, torch.tensor(target), torch.tensor(prediction))
    return [(found.pod, found.far, found.csi, found.reason) for found in detections(counts, THRESHOLDS)]


def test_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    y = random.uniform(0, 1, 500)
    p = np.clip(y + random.normal(0, 0.2, 500), 0, 1)
    date = torch.from_numpy(random.integers(0, 3, 500))
    found = detections(_counts(date, torch.from_numpy(y), torch.from_numpy(p), 3), THRESHOLDS)
    assert [item.threshold for item in found] == [0.3, 0.7, 0.8]
    for item in found:
        wet, alarm = y >= item.threshold, p >= item.threshold
        assert (item.n, item.events, item.reason) == (500, wet.sum(), "")
        assert item.pod == pytest.approx(recall_score(wet, alarm))
        assert item.far == pytest.approx(1 - precision_score(wet, alarm))
        assert item.csi == pytest.approx(jaccard_score(wet, alarm))
        assert item.frequency_bias == pytest.approx(alarm.sum() / wet.sum())


def test_dates_are_counted_apart() -> None:
    y, p = torch.tensor([0.9, 0.1, 0.9]), torch.tensor([0.9, 0.9, 0.1])
    counts = _counts(torch.tensor([0, 1, 1]), y, p, 2)
    assert counts.sum((1, 2)).tolist() == [1, 2]
    assert detections(counts[:1], THRESHOLDS)[0].csi == 1
    assert detections(counts[1:], THRESHOLDS)[0].csi == 0


def test_a_value_at_the_threshold_is_wet() -> None:
    for threshold in THRESHOLDS:
        at = [torch.tensor([threshold], dtype=kind) for kind in (torch.float32, torch.float64)]
        for label, prediction in itertools.product(at, at):
            counts = _counts(torch.zeros(1, dtype=torch.int64), label, prediction)
            (found,) = (item for item in detections(counts, THRESHOLDS) if item.threshold == threshold)
            assert (found.events, found.csi) == (1, 1)


def test_without_wet_labels_there_is_nothing_to_find() -> None:
    pod, far, csi, reason = _scored([0.1, 0.2], [0.1, 0.9])[0]
    assert math.isnan(pod)
    assert (far, csi, reason) == (1, 0, "no wet label")


def test_without_alarms_none_is_false() -> None:
    pod, far, csi, reason = _scored([0.1, 0.9], [0.1, 0.2])[0]
    assert (pod, csi, reason) == (0, 0, "no wet prediction")
    assert math.isnan(far)


def test_without_pixels_nothing_is_defined() -> None:
    for *values, reason in _scored([], []):
        assert all(math.isnan(value) for value in values)
        assert reason == "no labelled pixels"


def test_predictions_that_are_nan_are_not_hidden() -> None:
    for *values, reason in _scored([0.9, 0.1], [math.nan, 0.1]):
        assert all(math.isnan(value) for value in values)
        assert reason == "predictions are not finite"
