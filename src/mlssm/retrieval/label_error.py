"""How far labels are off, and what the best prediction would say in their place.

The speckle of a scored date is unknowable. The best that can be predicted for a pixel whose noise-free backscatter is
known, and with it the references that were fitted, is the mean of the labels that speckle would give it:

    m(mu) = E[clip(mu + e, 0, 1)],     mu = (noise-free backscatter - dry) / (wet - dry),     e = speckle / (wet - dry)

its expected squared error is Var[label | mu]: nearly the variance of e well within 0..1, and nearly 0 far outside,
where every label is clipped. As mu is not known either, it is integrated over what is compatible with a label: how mu
is distributed is found for each date and class of distance between the references (`mlssm.retrieval.deconvolution`),
and Bayes' theorem gives, for each label, mean and variance of m.

On held-out dates that is exact but for the distribution. A training date's speckle is also in the references that its
own label is measured by, which is left out: with few looks the cap of a training split comes out up to 0.025 too high.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.cube import BACKSCATTER_SCALE
from mlssm.retrieval.deconvolution import ATOMS, EDGES, PER_UNIT, Noise, noise_free
from mlssm.retrieval.noise import looks_of_variance_db, speckle_cdf_db, speckle_variance_db
from mlssm.retrieval.sample import Sample

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]

LEVELS = 6  # classes of distance between references, of as many labels each
BINS = PER_UNIT + 2  # of the label, the first and last for clipped ones
LABELS = np.r_[0, ATOMS[(ATOMS > 0) & (ATOMS < 1)], 1]  # in the middle of the bins
STEPS = 200  # of the integral over 0..1
ROUNDING_DB2 = BACKSCATTER_SCALE**2 / 12  # variance that storing adds


@dataclass(frozen=True)
class LabelError:
    """Predictions that could be attained for labels alike.

    Attributes:
        shift: Mean of the best predictions for what noise-free backscatter a label is compatible with, less the label,
            SSM units, float32 [time, level, bin].
        variance: Of these predictions.
        edges: Distances between references, dB, that separate the levels, [level - 1].
    """

    shift: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    edges: Floats

    def of(
        self, times: npt.NDArray[np.int64], ssm: Floats, sensitivity: Floats
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The mean best prediction of labels, and its root mean square distance from them; NaN where the label is.

        Args:
            times: Acquisitions.
            ssm: Labels, [time, rows, columns].
            sensitivity: Wet - dry of their references, dB, the same shape.

        Returns:
            SSM 0..1 and SSM units, float32, both of the labels' shape.
        """
        cells = np.broadcast_to(times[:, None, None], ssm.shape), self._level(sensitivity), label_bin(ssm)
        label = ssm.astype(np.float32)
        attainable = np.clip(label + self.shift[cells], 0, 1)  # NaN where the label is
        return attainable, np.sqrt(self.variance[cells] + (label - attainable) ** 2)

    def _level(self, sensitivity: Floats) -> npt.NDArray[np.intp]:
        return np.asarray(np.searchsorted(self.edges, sensitivity))


def label_bin(ssm: Floats) -> npt.NDArray[np.intp]:
    """0 for a label of 0, `BINS` - 1 for 1, equal bins between; any for NaN."""
    inner = 1 + np.floor(np.nan_to_num(ssm) * PER_UNIT).astype(np.intp)
    return np.where(ssm <= 0, 0, np.minimum(inner, np.where(ssm >= 1, BINS - 1, PER_UNIT)))


def fit_label_error(sample: Sample, training: npt.NDArray[np.bool_]) -> LabelError:
    """Learn the error of labels from a sample of pixels.

    Args:
        sample: Of values between their references, with their speckle.
        training: Which times are training dates, [time]; that of their labels does not depend on other dates.

    Returns:
        NaN where no pixel passes the masks.
    """
    shape, known = (len(sample.relative), LEVELS, BINS), np.isfinite(sample.relative)
    learnt = known & training[:, None]
    if not learnt.any():
        log.warning("no pixel of a sample is sensitive to moisture: the noise of labels is not known")
        nothing = np.full(shape, np.nan, np.float32)
        return LabelError(nothing, nothing, np.zeros(LEVELS - 1))
    edges = np.quantile(sample.sensitivity[learnt], np.arange(1, LEVELS) / LEVELS)
    level = np.searchsorted(edges, sample.sensitivity)
    speckle = [_Speckle.of(sample, learnt & (level == place), learnt) for place in range(LEVELS)]
    noise = Noise(np.stack([part.noisy for part in speckle]), np.array([part.variance for part in speckle]))
    distributions = noise_free(_counts(sample.relative, level, known), noise, training)
    shift, variance = np.empty((2, *shape), np.float32)
    for place, part in enumerate(speckle):
        mean, variance[:, place] = _attainable(distributions[:, place], part)
        shift[:, place] = mean - LABELS
    return LabelError(shift, variance, edges)


@dataclass(frozen=True)
class _Speckle:
    """What speckle makes of noise-free values, on a level.

    Attributes:
        variance: Of the speckle, in units of the squared distance between the references.
        noisy: Probability of each bin of noisy values, [bin of values, atom].
        best: Mean of the labels, [atom].
    """

    variance: float
    noisy: Floats
    best: Floats

    @classmethod
    def of(cls, sample: Sample, members: npt.NDArray[np.bool_], all_levels: npt.NDArray[np.bool_]) -> _Speckle:
        """That of the mean squared speckle of a level's labels, in units of the distance between their references."""
        some = members if members.any() else all_levels
        decibels = sample.squared_weights * speckle_variance_db(sample.looks[some])
        sensitivity = sample.sensitivity[some]
        mean, relative = float(decibels.mean()), float((decibels / sensitivity**2).mean())
        span = np.sqrt(mean / relative)
        looks = looks_of_variance_db(max(mean, ROUNDING_DB2))
        noisy = np.diff(speckle_cdf_db((EDGES[:, None] - ATOMS) * span, looks), axis=0)
        middles = (np.arange(STEPS) + 0.5) / STEPS
        best = 1 - speckle_cdf_db((middles[:, None] - ATOMS) * span, looks).mean(axis=0)
        return cls(relative, noisy, best)

    @property
    def labels(self) -> Floats:
        """Probability of each bin of labels, [bin, atom]."""
        low, high = ATOMS < 0, ATOMS > 1
        return np.vstack([self.noisy[low].sum(axis=0), self.noisy[~low & ~high], self.noisy[high].sum(axis=0)])


def _counts(relative: Floats, level: npt.NDArray[np.intp], known: npt.NDArray[np.bool_]) -> Floats:
    """How many noisy values fall into each bin, [time, level, bin of values]."""
    shape = len(relative), LEVELS, len(EDGES) - 1
    time = np.broadcast_to(np.arange(len(relative))[:, None], relative.shape)
    inner = np.searchsorted(EDGES[1:-1], relative[known])
    cell = np.ravel_multi_index((time[known], level[known], inner), shape)
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape).astype(float)


def _attainable(distribution: Floats, speckle: _Speckle) -> tuple[Floats, Floats]:
    """Mean and variance of the best prediction for each date and label, [time, bin]."""
    both = distribution[:, None] * speckle.labels
    total = np.maximum(both.sum(axis=2), 1e-300)
    mean = both @ speckle.best / total
    return mean, np.maximum(both @ speckle.best**2 / total - mean**2, 0)
