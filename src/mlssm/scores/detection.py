"""Detection of wet states: how many are found, and how many alarms are false."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.scores.cells import LabelledPixels


@dataclass(frozen=True)
class Detection:
    """How well a model finds pixels that are at least as wet as a threshold.

    The scores are those of a 2 x 2 contingency table (Wilks 2011, ch. 8.2): hits (wet, and predicted wet), misses,
    false alarms. One that would divide by 0 is NaN.

    Attributes:
        threshold: SSM from which a pixel is wet.
        n: Number of pixels.
        events: Number of pixels whose label is wet: hits + misses.
        pod: Probability of detection, hits / (hits + misses).
        far: False alarm ratio, false alarms / (hits + false alarms).
        csi: Critical success index, hits / (hits + misses + false alarms).
        frequency_bias: Wet predictions for each wet label, (hits + false alarms) / (hits + misses).
        reason: Why a score is not defined; empty where all are.
    """

    threshold: float
    n: int
    events: int
    pod: float
    far: float
    csi: float
    frequency_bias: float
    reason: str


class WetTally:
    """Counts of pixels by how many thresholds their label and a prediction reach, from which all tables follow.

    Attributes:
        counts: By model, int64 [dates, thresholds + 1, thresholds + 2]: the label's number of thresholds, then the
            prediction's, whose last column counts predictions that are NaN.
    """

    def __init__(self, models: Sequence[str], dates: int, thresholds: Sequence[float]) -> None:
        """Start with no pixel.

        Args:
            models: Their names.
            dates: Number of dates.
            thresholds: SSM from which a pixel is wet, in any order.
        """
        # labels are float32: one of "0.7", which is a little below the 0.7 of float64, is at the threshold
        exact = np.sort(np.asarray(thresholds, np.float64))
        self._thresholds = np.minimum(exact, exact.astype(np.float32))
        shape = dates, len(thresholds) + 1, len(thresholds) + 2
        self.counts = {name: torch.zeros(shape, dtype=torch.int64) for name in models}

    def row(self, pixels: LabelledPixels) -> npt.NDArray[np.int64]:
        """The date and the label's number of thresholds as one number, the same for all models; [pixels]."""
        reached = np.searchsorted(self._thresholds, pixels.target.numpy(), side="right")
        return pixels.date.numpy() * (len(self._thresholds) + 1) + reached

    def add(self, model: str, row: npt.NDArray[np.int64], prediction: Tensor) -> None:
        """Count a model's predictions, float64 [pixels]."""
        values, counts = prediction.numpy(), self.counts[model]
        reached = np.searchsorted(self._thresholds, values, side="right") + np.isnan(values)
        found = np.bincount(row * counts.shape[-1] + reached, minlength=counts.numel())
        counts += torch.from_numpy(found).reshape(counts.shape)


def detections(counts: Tensor, thresholds: Sequence[float]) -> tuple[Detection, ...]:
    """The scores at each threshold, from low to high.

    Args:
        counts: As `WetTally` has them, of all dates or of some.
        thresholds: Those that they were counted for.
    """
    table = counts.sum(0)
    return tuple(_detection(table, place, threshold) for place, threshold in enumerate(sorted(thresholds)))


def _detection(table: Tensor, place: int, threshold: float) -> Detection:
    known, undefined, above = table[:, :-1], int(table[:, -1].sum()), slice(place + 1, None)
    n, events = int(table.sum()), int(table[above].sum())
    hits, alarms = int(known[above, above].sum()), int(known[:, above].sum())
    reason = _reason(n, undefined, events, alarms)
    if undefined:
        return Detection(threshold, n, events, math.nan, math.nan, math.nan, math.nan, reason)
    pod, far = _ratio(hits, events), _ratio(alarms - hits, alarms)
    csi, frequency_bias = _ratio(hits, events + alarms - hits), _ratio(alarms, events)
    return Detection(threshold, n, events, pod, far, csi, frequency_bias, reason)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _reason(n: int, undefined: int, events: int, alarms: int) -> str:
    if n == 0:
        return "no labelled pixels"
    if undefined:
        return "predictions are not finite"
    if events == 0:
        return "no wet label"
    return "no wet prediction" if alarms == 0 else ""
