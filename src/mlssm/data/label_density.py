"""How rare labels are: histograms of SSM by patch, their smoothed density, and weights that fall with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from mlssm.config import SamplerConfig
from mlssm.crew import Crew, fold
from mlssm.patches.index import LabelMap
from mlssm.retrieval.bands import bands
from mlssm.scratch import scratch

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]

BINS = 100  # of SSM over 0..1
PATCHES = 100_000  # whose histograms are worked on at once
LEAST = 1e-6  # weight of the commonest labels under dense_weight with alpha = 1


def label_histograms(patches: pd.DataFrame, size: int, labels: LabelMap, crew: Crew | None = None) -> Counts:
    """Count each patch's labels in `BINS` equal bins of SSM over 0..1; 1 falls into the last.

    Args:
        patches: Rows of the patch index.
        size: Pixels along a patch.
        labels: SSM of an extent at a time, NaN where there is no label, [height, width]; read once each.
        crew: Who counts; None: here, one after the other.

    Returns:
        Labelled pixels, [patch, bin].
    """
    found: Counts = scratch((len(patches), BINS), np.uint32)
    rows, cols = (patches[name].to_numpy(np.int64) for name in ("row", "col"))
    places, place = np.unique(patches[["extent", "time"]].to_numpy(np.int64), axis=0, return_inverse=True)
    ordered = np.argsort(place.ravel(), kind="stable")
    ends = np.searchsorted(place.ravel()[ordered], np.arange(1, len(places)))
    of_place = iter(np.split(ordered, ends))

    def put(counts: Counts) -> None:
        found[next(of_place)] = counts

    parts = [range(*each) for each in itertools.pairwise((0, *ends.tolist(), len(ordered)))]
    counting = _Counting(labels, size, rows[ordered], cols[ordered])
    items = [(*place, part) for place, part in zip(places.tolist(), parts, strict=True)]
    fold(crew, counting, items, put, "labels of patches")
    return found


@dataclass(frozen=True)
class _Counting:
    """Counts the labels of patches.

    Attributes:
        labels: See `label_histograms`.
        size: Pixels along a patch.
        rows: First row of each patch.
        cols: First column.
    """

    labels: LabelMap
    size: int
    rows: Ints
    cols: Ints

    def __call__(self, item: tuple[int, int, range]) -> Counts:
        """Of an extent and a time, and the patches that lie there."""
        extent, time, patches = item
        bins, found = _bins(self.labels(extent, time)), np.empty((len(patches), BINS), np.uint32)
        for counts, i in zip(found, patches, strict=True):
            row, col = self.rows[i], self.cols[i]
            patch = bins[row : row + self.size, col : col + self.size]
            counts[:] = np.bincount(patch.ravel(), minlength=BINS + 1)[:BINS]
        return found


def _bins(ssm: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The bin of each pixel; `BINS` where there is no label."""
    found = np.empty(ssm.shape, np.uint8)
    for rows in bands((len(ssm), ssm[0].size)):
        known = np.isfinite(ssm[rows])
        found[rows] = np.where(known, np.minimum(np.where(known, ssm[rows], 0) * BINS, BINS - 1), BINS)
    return found


def of_patches(histograms: Counts, of: Callable[[Counts], Floats]) -> Floats:
    """What is asked of many patches' histograms, [patch], some of them at a time."""
    parts = [histograms[start : start + PATCHES] for start in range(0, len(histograms), PATCHES)]
    return np.concatenate([of(part) for part in parts]) if parts else np.empty(0)


def label_density(counts: npt.NDArray[np.integer], bandwidth: float) -> Floats:
    """Density of labels, smoothed by a Gaussian (label distribution smoothing, Yang et al. 2021, arXiv:2102.09554).

    Args:
        counts: Labels in equal bins of SSM over 0..1, [bin].
        bandwidth: Standard deviation of the Gaussian, SSM. At 0 and 1 it is mirrored: there is no SSM beyond.

    Returns:
        Share of the labels in each bin; sums to 1, [bin].
    """
    shares = counts.astype(float) / float(counts.sum())
    smooth = gaussian_filter1d(shares, bandwidth * len(counts), mode="reflect")
    return np.asarray(smooth / smooth.sum())


def rarity_weights(counts: npt.NDArray[np.integer], sampler: SamplerConfig) -> Floats:
    """Weight of a label in each bin, of mean 1 over the labels; 0 in bins that have none.

    `dense_weight`: max(1 - alpha p', 1e-6), p' the density scaled to 0..1 over the labels (DenseWeight,
    Steininger et al. 2021, doi:10.1007/s10994-021-06023-5). `lds`: density to the power of -alpha.

    Args:
        counts: Labels in equal bins of SSM over 0..1, [bin].
        sampler: Weighting, alpha and bandwidth.
    """
    density, there = label_density(counts, sampler.bandwidth), counts > 0
    if sampler.weighting == "dense_weight":
        least, most = density[there].min(), density[there].max()
        scaled = (density - least) / (most - least) if most > least else np.zeros_like(density)
        weights = np.maximum(1 - sampler.alpha * scaled, LEAST)
    else:
        weights = np.where(there, density, 1) ** -sampler.alpha
    weights = np.where(there, weights, 0.0)
    return np.asarray(weights / (weights @ counts / counts.sum()))
