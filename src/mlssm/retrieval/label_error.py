"""How far labels are off, learnt by a parametric bootstrap.

A label's error is its difference from the label that there would be without speckle, from references that would have
been fitted without speckle. It is no small perturbation: speckle moves the sample, widens the references of a pixel
that hardly responds until it passes the sensitivity mask, and a training date's speckle is in the references that its
own label is measured by. So it is simulated (Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 6.5):
noise-free backscatter is drawn (`mlssm.retrieval.courses`), gamma-distributed speckle is put on it, both go through the
same retrieval, and the squared difference is averaged over pixels alike: of the same date, of a similar distance
between their noisy references, and of a similar noisy label.

What is drawn still holds some of the speckle that it was drawn from, and so errs. By how much is found by doing it once
more, from the simulated images, whose truth is known (the iterated bootstrap; Hall 1992, The Bootstrap and Edgeworth
Expansion, section 1.4).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from mlssm.config import RetrievalConfig
from mlssm.cube import BACKSCATTER_SCALE
from mlssm.retrieval.courses import NoiseFree
from mlssm.retrieval.labels import relative_moisture
from mlssm.retrieval.noise import DB_PER_NEPER
from mlssm.retrieval.references import References, fit_references
from mlssm.retrieval.sample import Sample

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.floating[Any]]

# classes of distance between references; bins of the label, the first and last for clipped ones
LEVELS, BINS = 6, 12
# simulated pixels, rounds at most, and how many labels of their own those less alike weigh as much as
SIMULATED, ROUNDS, PRIOR = 32_000, 16, 3


@dataclass(frozen=True)
class LabelError:
    """Root mean square error of labels alike.

    Attributes:
        table: SSM units, float32 [time, level, bin].
        edges: Distances between references, dB, that separate the levels, [level - 1].
    """

    table: npt.NDArray[np.float32]
    edges: Floats

    def of(self, times: npt.NDArray[np.int64], ssm: Floats, sensitivity: Floats) -> npt.NDArray[np.float32]:
        """Standard error of labels, SSM units, float32 [time, rows, columns]; NaN where the label is.

        Args:
            times: Acquisitions.
            ssm: Labels, [time, rows, columns].
            sensitivity: Wet - dry of their references, dB, the same shape.
        """
        cells = np.broadcast_to(times[:, None, None], ssm.shape), self._level(sensitivity), label_bin(ssm)
        return np.where(np.isfinite(ssm), self.table[cells], np.float32(np.nan))

    def _level(self, sensitivity: Floats) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.edges, sensitivity)


def label_bin(ssm: Floats) -> npt.NDArray[np.intp]:
    """0 for a label of 0, `BINS` - 1 for 1, equal bins between; any for NaN."""
    inner = 1 + np.floor(np.nan_to_num(ssm) * (BINS - 2)).astype(np.intp)
    return np.where(ssm <= 0, 0, np.minimum(inner, np.where(ssm >= 1, BINS - 1, BINS - 2)))


@dataclass(frozen=True)
class Dates:
    """Which times are training dates, and which share references (the same key), both [time]."""

    training: npt.NDArray[np.bool_]
    keys: npt.NDArray[np.int64]


def fit_label_error(sample: Sample, dates: Dates, config: RetrievalConfig) -> LabelError:
    """Learn the error of labels from a sample of pixels; the draws are always the same.

    Args:
        sample: Multilooked backscatter.
        dates: All times.
        config: How references are fitted, and which pixels are masked.
    """
    shape = len(sample.sigma), LEVELS, BINS
    if sample.variance.mean() < BACKSCATTER_SCALE**2 / 12:  # less than storing rounds by
        return LabelError(np.zeros(shape, np.float32), np.zeros(LEVELS - 1))
    rng = np.random.default_rng(0)
    edges: Floats = np.empty(0)
    once, twice = np.zeros((2, 2, *shape))  # sum and number of squared errors
    for truth, again in _rounds(sample, dates, rng):
        first, second = (_retrieved(each, dates, config) for each in (truth, again))
        if not edges.size and first.sensitivity.size:
            edges = np.quantile(first.sensitivity, np.arange(1, LEVELS) / LEVELS)
        if not edges.size:
            log.warning("no pixel of a sample is sensitive to moisture: the noise of labels is not known")
            return LabelError(np.full(shape, np.nan, np.float32), np.zeros(LEVELS - 1))
        once += first.sums(shape, edges)
        twice += second.sums(shape, edges)
    squared = np.empty(shape)
    for part in (dates.training, ~dates.training):
        squared[part] = _smoothed(*once[:, part]) * _ratio(once[:, part], twice[:, part])
    return LabelError(np.sqrt(np.minimum(squared, 1)).astype(np.float32), edges)


@dataclass(frozen=True)
class _Simulated:
    """Backscatter with and without speckle, dB, [time, neighbourhood, pixel]."""

    clean: Floats
    noisy: Floats


def _rounds(sample: Sample, dates: Dates, rng: np.random.Generator) -> Iterator[tuple[_Simulated, _Simulated]]:
    """Simulated images of drawn truths, and of truths drawn from these simulated images in turn."""
    pixels = max(1, int(np.isfinite(sample.sigma).any(axis=0).sum()))
    estimate = NoiseFree.of(sample, dates.training, dates.keys)
    for _ in range(min(-(-SIMULATED // pixels), ROUNDS)):
        truth = _simulate(estimate.draw(rng), sample, rng)
        copy = Sample(truth.noisy, sample.looks, 1.0)  # simulated speckle is not correlated
        yield truth, _simulate(NoiseFree.of(copy, dates.training, dates.keys).draw(rng), sample, rng)


def _simulate(clean: Floats, sample: Sample, rng: np.random.Generator) -> _Simulated:
    """Put speckle on noise-free backscatter, where the sample has a value."""
    power = rng.standard_gamma(sample.looks)
    mean = DB_PER_NEPER * digamma(sample.looks.mean(axis=0))  # of a gamma variable in decibels; levels hold it already
    there = np.where(np.isfinite(sample.sigma), clean, np.nan)
    return _Simulated(there, there + 10 * np.log10(power) - mean)


@dataclass(frozen=True)
class _Retrieved:
    """Labels with speckle that are not masked, as flat arrays.

    Attributes:
        time: Acquisition of each.
        ssm: The label.
        sensitivity: Wet - dry of its references, dB.
        squared: Its squared difference from the label without speckle.
    """

    time: npt.NDArray[np.intp]
    ssm: Floats
    sensitivity: Floats
    squared: Floats

    def sums(self, shape: tuple[int, ...], edges: Floats) -> Floats:
        """Sum and number of squared errors by time, level and bin, [2, time, level, bin]."""
        cells = self.time, np.searchsorted(edges, self.sensitivity), label_bin(self.ssm)
        cell = np.ravel_multi_index(cells, shape)
        size = int(np.prod(shape))
        sums = (np.bincount(cell, weights, size) for weights in (self.squared, None))
        return np.stack([each.reshape(shape) for each in sums])


def _retrieved(images: _Simulated, dates: Dates, config: RetrievalConfig) -> _Retrieved:
    noisy, clean, sensitivity = np.full((3, *images.noisy.shape), np.nan)
    for key in np.unique(dates.keys[dates.training]):
        times = dates.keys == key
        with_speckle, without = (
            _references(each[times & dates.training], config) for each in (images.noisy, images.clean)
        )
        usable = with_speckle.usable(config.min_sensitivity_db, config.water_below_db)
        found = relative_moisture(images.noisy[times], with_speckle.dry, with_speckle.wet)
        noisy[times] = np.where(usable, found, np.nan)
        clean[times] = relative_moisture(images.clean[times], without.dry, without.wet)
        sensitivity[times] = with_speckle.sensitivity
    known = np.isfinite(noisy) & np.isfinite(clean)
    squared = (noisy[known] - clean[known]) ** 2
    return _Retrieved(np.nonzero(known)[0], noisy[known], sensitivity[known], squared)


def _references(backscatter: Floats, config: RetrievalConfig) -> References:
    return fit_references(backscatter, config.dry_percentile, config.wet_percentile, config.min_dates)


def _smoothed(total: Floats, number: Floats) -> Floats:
    """Mean squared errors, [time, level, bin]; where few are alike, near those of the same date and bin, of any level.

    A label that is rare on its date, wet on a dry one, is far off, so that dates are mixed only where a date has none
    of a bin. The mean of each date is kept. NaN where there is no label at all.
    """
    if not number.any():
        return np.full(number.shape, np.nan)
    mean: Floats | float = np.nan
    for axes in ((0, 1, 2), (0, 1), (1,), ()):  # all, of a bin, of a date and bin, of a date, level and bin
        sums = [each.sum(axis=axes, keepdims=True) for each in (total, number)]
        mean = (sums[0] + np.nan_to_num(PRIOR * mean)) / np.maximum(sums[1] + PRIOR * np.isfinite(mean), 1e-9)
    given, kept = ((each * number).sum(axis=(1, 2), keepdims=True) for each in (mean, total / np.maximum(number, 1)))
    return np.asarray(mean * np.divide(kept, given, out=np.ones_like(given), where=given > 0))


def _ratio(once: Floats, twice: Floats) -> float:
    """How much larger the mean squared error is than its estimate from noisy images: a truth over its estimate."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, estimate = (sums[0].sum() / sums[1].sum() for sums in (once, twice))
    return float(mean / estimate) if estimate > 0 else 1.0
