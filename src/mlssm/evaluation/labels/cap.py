"""How well labels can be predicted at best: by their speckle alone, and by what is a track's own too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mlssm.evaluation.tracks.noise import BETWEEN
from mlssm.retrieval.labels import Labels
from mlssm.retrieval.track_variance import TrackVariance
from mlssm.scores.sums import pixel_sums, scores

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LabelCap:
    """R2 of the best prediction of labels, 0..1; see `mlssm.scores.sums.Scores.r2_cap`.

    Attributes:
        speckle: Of one that knows the backscatter without speckle.
        with_tracks: Of one that knows what tracks have in common; NaN where one track alone sees the pixels.
    """

    speckle: float
    with_tracks: float

    @classmethod
    def of(cls, labels: Labels, track: TrackVariance) -> LabelCap:
        """That of labels [time, h, w], of whose variance some is their track's own."""
        arrays = labels.ssm, labels.standard_error, labels.attainable
        target, error, best = (torch.from_numpy(np.ascontiguousarray(each)) for each in arrays)
        none = torch.zeros(len(target), dtype=torch.int64)
        sums = pixel_sums(target, target, target.isfinite(), error, best, none, groups=1, bins=1)
        known = not math.isnan(track.value)
        return cls(scores(sums).r2_cap, scores(sums, "natural", track.value).r2_cap if known else math.nan)

    def __str__(self) -> str:
        """As the log and the page have it."""
        text = f"the best prediction of these labels has an R2 of {self.speckle:.2f} by their speckle alone"
        if math.isnan(self.with_tracks):
            return f"{text}; no two tracks tell how much is a track's own: the cap may be too high"
        return f"{text}, and of {self.with_tracks:.2f} as it cannot know what a track sees alone either"


def left_by_speckle(spans: Sequence[Floats], spread: float) -> Floats:
    """The correlation of two tracks' labels that speckle alone would leave, [pixel].

    Each label keeps 1 - (3.29 s / span)^2 of its variance; a correlation is the geometric mean of what two keep.

    Args:
        spans: Wet - dry of each track's references, dB, [pixel].
        spread: Standard deviation s of speckle, dB.
    """
    return np.asarray(np.sqrt(np.prod([np.clip(1 - (BETWEEN * spread / each) ** 2, 0, None) for each in spans], 0)))
