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
from mlssm.scores.sums import pixel_sums, scores

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PairAgreement:
    """What two tracks of the same pixels say.

    Attributes:
        r: Correlation of their labels over time, [pixel]; NaN where unknown.
        left: The correlation that speckle alone would leave, [pixel].
    """

    r: Floats
    left: Floats


@dataclass(frozen=True)
class LabelCap:
    """R2 of the best prediction of labels, 0..1.

    Attributes:
        speckle: Of one that knows the backscatter without speckle, see `mlssm.scores.sums.Scores.r2_cap`.
        own_share: Of the variance that speckle leaves, the share that is a track's own, 0..1; NaN where one track alone
            sees the pixels.
    """

    speckle: float
    own_share: float

    @property
    def with_tracks(self) -> float:
        """Of one that knows what two tracks have in common; NaN where that is not known."""
        return self.speckle * (1 - self.own_share)

    def __str__(self) -> str:
        """As the log and the page have it."""
        text = f"the best prediction of these labels has an R2 of {self.speckle:.2f} by their speckle alone"
        if math.isnan(self.own_share):
            return f"{text}; one track sees them, so that how much is its own is not known: the cap may be too high"
        return f"{text}, and of {self.with_tracks:.2f} as {self.own_share:.2f} of what speckle leaves is a track's own"


def left_by_speckle(spans: Sequence[Floats], spread: float) -> Floats:
    """The correlation of two tracks' labels that speckle alone would leave, [pixel].

    Each label keeps 1 - (3.29 s / span)^2 of its variance; a correlation is the geometric mean of what two keep.

    Args:
        spans: Wet - dry of each track's references, dB, [pixel].
        spread: Standard deviation s of speckle, dB.
    """
    return np.asarray(np.sqrt(np.prod([np.clip(1 - (BETWEEN * spread / each) ** 2, 0, None) for each in spans], 0)))


def own_share(pairs: Sequence[PairAgreement]) -> float:
    """Of the variance that speckle leaves, the share that is a track's own, 0..1; NaN where no two tracks agree.

    Two measures of one thing correlate by the share of their variance that they have in common (Lord & Novick 1968,
    Statistical Theories of Mental Test Scores, section 3.3): r = (1 - own share) times what speckle leaves.
    """
    known = [np.isfinite(pair.r) & np.isfinite(pair.left) & (pair.left > 0) for pair in pairs]
    if not any(each.any() for each in known):
        return math.nan
    r, left = (
        sum(float(getattr(pair, name)[each].sum()) for pair, each in zip(pairs, known, strict=True))
        for name in ("r", "left")
    )
    return float(np.clip(1 - r / left, 0, 1))


def label_cap(labels: Labels, pairs: Sequence[PairAgreement]) -> LabelCap:
    """The cap of labels [time, h, w], and how much less it is by what pairs of tracks agree on."""
    arrays = labels.ssm, labels.standard_error, labels.attainable
    target, error, best = (torch.from_numpy(np.ascontiguousarray(each)) for each in arrays)
    none = torch.zeros(len(target), dtype=torch.int64)
    sums = pixel_sums(target, target, target.isfinite(), error, best, none, groups=1, bins=1)
    return LabelCap(scores(sums).r2_cap, own_share(pairs))
