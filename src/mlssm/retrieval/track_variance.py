"""What a label has from its track alone, beside speckle: what two tracks that see a place at about one time differ by.

A label y of one track is what all tracks share, c, what it sees alone, o, and speckle e, so that half the variance of
the difference of two tracks' labels is Var(o) + Var(e). Differences are taken about each pixel's own mean, as what lies
between the references of two tracks for good is known to whoever knows these. What speckle adds is known of each label
(`mlssm.retrieval.label_error`), so that

    Var(o) = (E[(d - mean of the pixel's d)^2] - E[e_1^2 + e_2^2]) / 2,    d = y_1 - y_2

A change of moisture between the two images counts as the track's own: the nearer in time they are, the better.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Times = npt.NDArray[np.datetime64]
LEAST = 8  # pairs of images that a pixel needs
FAR_HOURS = 48  # beyond it another day's rain lies between two images, morning or evening

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackVariance:
    """Variance of a label that is its track's own.

    Attributes:
        value: SSM units squared, at least 0; NaN where it cannot be told.
        error: Its standard error, by leaving out each pair of images in turn (jackknife; Efron & Tibshirani 1993, An
            Introduction to the Bootstrap, chapter 11).
        pairs: How many pairs of images it is from.
    """

    value: float = math.nan
    error: float = math.nan
    pairs: int = 0

    @classmethod
    def pooled(cls, parts: Sequence[TrackVariance]) -> TrackVariance:
        """The mean of several trainings', which share most of their pairs; not known where one does not know it."""
        value, error = (float(np.mean([getattr(each, name) for each in parts])) for name in ("value", "error"))
        return cls(value, error, min(each.pairs for each in parts))

    def __str__(self) -> str:
        """As the log and the report have it."""
        if math.isnan(self.value):
            return (
                "the cap of R2 is of speckle alone: no two tracks have training images near enough in time to tell "
                "what a track sees alone, so that it may be too high"
            )
        return (
            f"the cap of R2 counts what a track sees alone: a standard deviation of {math.sqrt(self.value):.3f} SSM "
            f"(variance {self.value:.4f}, standard error {self.error:.4f}, by {self.pairs} pairs of images)"
        )


UNKNOWN = TrackVariance()


def tell_far(most_hours: float) -> None:
    """Say what it means to compare images that are further apart than moisture stays as it is."""
    if most_hours > FAR_HOURS:
        log.warning(
            "tracks.most_hours=%g compares images of two tracks that are days apart: what rain and drying change "
            "between them counts as a track's own, so that agreement and the cap of R2 come out too low",
            most_hours,
        )


def nearest(a: Times, b: Times, most_hours: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Of times those that have another one within some hours, and which one that is."""
    apart = np.abs(a[:, None] - b[None]) / np.timedelta64(1, "h")
    near = apart.argmin(axis=1)
    close = apart[np.arange(len(a)), near] <= most_hours
    return np.flatnonzero(close), near[close]


def track_variance(
    ssm: Floats, speckle: Floats, orbits: npt.NDArray[np.int64], times: Times, most_hours: float
) -> TrackVariance:
    """Compare all pairs of tracks.

    Args:
        ssm: Labels of training dates, [time, pixel]; NaN where there is none.
        speckle: Their expected squared distance from the best prediction that knows the backscatter, likewise.
        orbits: Relative orbit of each time.
        times: Acquisitions.
        most_hours: Between two images that are compared.
    """
    differences = [*_differences(ssm, speckle, orbits, times, most_hours)]
    if not any(each.known.any() for each in differences):
        return UNKNOWN
    whole = np.sum([each.sums for each in differences], axis=0)
    without = np.concatenate([whole - each.sums + each.sums_without for each in differences])
    left_out = _variance(without)
    pairs = len(left_out)
    error = math.sqrt((pairs - 1) / pairs * float(((left_out - left_out.mean()) ** 2).sum()))
    return TrackVariance(max(float(_variance(whole)), 0.0), error, pairs)


@dataclass(frozen=True)
class _Differences:
    """Of two tracks' labels.

    Attributes:
        value: [pair, pixel], 0 where one is missing.
        speckle: Sum of what speckle adds to both, likewise.
        known: Where both are, of pixels that have enough of them.
    """

    value: Floats
    speckle: Floats
    known: npt.NDArray[np.bool_]

    @property
    def sums(self) -> Floats:
        """Squares about the pixels' means, their degrees of freedom, what speckle adds, and how many there are."""
        count, there = self.known.sum(axis=0), self.known.any(axis=0)
        squares = (self.value**2).sum(axis=0) - self.value.sum(axis=0) ** 2 / np.maximum(count, 1)
        return np.array([squares.sum(), (count - there).sum(), self.speckle.sum(), count.sum()])

    @property
    def sums_without(self) -> Floats:
        """The same without each of the pairs in turn, [pair, 4]."""
        count, total, squared = self.known.sum(axis=0), self.value.sum(axis=0), (self.value**2).sum(axis=0)
        found = []
        for value, speckle, known in zip(self.value, self.speckle, self.known, strict=True):
            left = count - known
            squares = squared - value**2 - (total - value) ** 2 / np.maximum(left, 1)
            found.append([squares.sum(), (left - (left > 0)).sum(), self.speckle.sum() - speckle.sum(), left.sum()])
        return np.array(found)


def _variance(sums: Floats) -> Floats:
    squares, freedom, speckle, number = np.moveaxis(sums, -1, 0)
    return np.asarray((squares / freedom - speckle / number) / 2)


def _differences(
    ssm: Floats, speckle: Floats, orbits: npt.NDArray[np.int64], times: Times, most_hours: float
) -> Iterator[_Differences]:
    for one, other in combinations(np.unique(orbits), 2):
        first, second = np.flatnonzero(orbits == one), np.flatnonzero(orbits == other)
        of_one, of_other = nearest(times[first], times[second], most_hours)
        a, b = first[of_one], second[of_other]
        if len(a) < LEAST:
            continue
        known = np.isfinite(ssm[a]) & np.isfinite(ssm[b])
        known &= known.sum(axis=0) >= LEAST
        value = np.where(known, ssm[a].astype(float) - ssm[b], 0)
        yield _Differences(value, np.where(known, speckle[a].astype(float) + speckle[b], 0), known)
