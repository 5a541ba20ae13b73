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
Expansion, section 1.4), and extrapolated to no speckle (Cook & Stefanski 1994, J. Am. Stat. Assoc. 89, 1314).

With few looks or a small area it is as uncertain as what can be told from the images: of 8000 pixels of 4 to 10 looks,
where the ceiling is below 0, by a standard deviation of 0.01 to 0.02 of the ceiling.
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
SIMULATED, ROUNDS, PRIOR = 48_000, 16, 3
# how many times the change by as much noise again that by the first noise is: once where a percentile moves with the
# noise's variance, 1 / (sqrt(2) - 1) times where values pile up beside it and it moves with the root; the mean of both
EXTRAPOLATION = 1 + 1 / np.sqrt(2)


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
        return np.asarray(np.searchsorted(self.edges, sensitivity))


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

    Returns:
        0 throughout where there is less speckle than storing rounds by; NaN where no pixel passes the masks.
    """
    shape = len(sample.sigma), LEVELS, BINS
    if sample.variance.mean() < BACKSCATTER_SCALE**2 / 12:
        return LabelError(np.zeros(shape, np.float32), np.zeros(LEVELS - 1))
    edges = _edges(sample, dates, config)
    if not edges.size:
        log.warning("no pixel of a sample is sensitive to moisture: the noise of labels is not known")
        return LabelError(np.full(shape, np.nan, np.float32), np.zeros(LEVELS - 1))
    once, twice = np.zeros((2, 2, *shape))  # sum and number of squared errors, of truths and of their copies
    for truth, again in _rounds(sample, dates, np.random.default_rng(0)):
        once += _retrieved(truth, dates, config).sums(shape, edges)
        twice += _retrieved(again, dates, config).sums(shape, edges)
    squared = np.empty(shape)
    for part in (dates.training, ~dates.training):
        squared[part] = _smoothed(*once[:, part])
    squared *= _ratio(once[:, dates.training], twice[:, dates.training]) ** EXTRAPOLATION
    return LabelError(np.sqrt(np.minimum(squared, 1)).astype(np.float32), edges)


def _edges(sample: Sample, dates: Dates, config: RetrievalConfig) -> Floats:
    """Distances between references, dB, that part the sample's labels on training dates into levels of as many each.

    Empty where there is no label.
    """
    labels = _retrieved(_Simulated(sample.sigma, sample.sigma), dates, config)
    sensitivity = labels.sensitivity[dates.training[labels.time]]
    return np.quantile(sensitivity, np.arange(1, LEVELS) / LEVELS) if sensitivity.size else np.empty(0)


@dataclass(frozen=True)
class _Simulated:
    """Backscatter with and without speckle, dB, [time, neighbourhood, pixel]."""

    clean: Floats
    noisy: Floats


def _rounds(sample: Sample, dates: Dates, rng: np.random.Generator) -> Iterator[tuple[_Simulated, _Simulated]]:
    """Drawn truths, and truths drawn from their images in turn; both under the same speckle, so that they compare."""
    seen = np.isfinite(sample.sigma)
    pixels = max(1, int(seen.any(axis=0).sum()))
    estimate = NoiseFree.of(sample, dates.training, dates.keys)
    for _ in range(min(-(-SIMULATED // pixels), ROUNDS)):
        truth = np.where(seen, estimate.draw(rng), np.nan)
        copy = Sample(truth + _speckle(sample, rng), sample.looks, 1.0)  # simulated speckle is not correlated
        again = np.where(seen, NoiseFree.of(copy, dates.training, dates.keys).draw(rng), np.nan)
        speckle = _speckle(sample, rng)
        yield _Simulated(truth, truth + speckle), _Simulated(again, again + speckle)


def _speckle(sample: Sample, rng: np.random.Generator) -> Floats:
    """Gamma-distributed speckle of the sample's looks, dB; its mean of 0 is that of full looks, as levels hold it."""
    power = np.maximum(rng.standard_gamma(sample.looks, dtype=np.float32), np.finfo(np.float32).tiny)
    return np.asarray(10 * np.log10(power) - DB_PER_NEPER * digamma(sample.looks.mean(axis=0)))


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
    of a bin. The mean of each date is kept.
    """
    if not number.any():
        return np.full(total.shape, np.nan)
    mean = np.asarray(total.sum() / number.sum())
    for axes in ((0, 1), (1,), ()):  # of a bin, of a date and bin, of a date, level and bin
        alike = [each.sum(axis=axes, keepdims=True) for each in (total, number)]
        mean = (alike[0] + PRIOR * mean) / (alike[1] + PRIOR)
    given, kept = ((each * number).sum(axis=(1, 2), keepdims=True) for each in (mean, total / np.maximum(number, 1)))
    return np.asarray(mean * np.divide(kept, given, out=np.ones_like(given), where=given > 0))


def _ratio(once: Floats, twice: Floats) -> float:
    """How much larger the mean squared error is than its estimate from noisy images: a truth over its estimate."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, estimate = (sums[0].sum() / sums[1].sum() for sums in (once, twice))
    return float(mean / estimate) if estimate > 0 else 1.0
