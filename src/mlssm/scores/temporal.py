"""Correlation over time at each pixel, apart from the one that pools pixels and dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlssm.scores.cells import LabelledPixels, Layout
from mlssm.scores.sums import correlation
from mlssm.scratch import scratch, trimming

LEAST_DATES = 5
LABELS = "labels"  # beside the names of models
PIXELS = 2**20  # that are worked on at once


@dataclass(frozen=True)
class Quartiles:
    """What many correlations come to.

    Attributes:
        n: How many are defined.
        q25: Lower quartile.
        median: Median.
        q75: Upper quartile.
        reason: Why there is none; empty where there is.
    """

    n: int
    q25: float
    median: float
    q75: float
    reason: str

    @classmethod
    def of(cls, values: npt.NDArray[np.float64], reason: str) -> Quartiles:
        """Of the values that are not NaN; `reason` says why there may be none."""
        known, number = scratch(values.shape, np.float64), 0
        for some in trimming(_parts(len(values))):
            found = values[some][np.isfinite(values[some])]
            known[number : number + len(found)] = found
            number += len(found)
        if not number:
            return cls(0, np.nan, np.nan, np.nan, reason)
        low, middle, high = np.quantile(known[:number], [0.25, 0.5, 0.75], overwrite_input=True).tolist()
        return cls(number, low, middle, high, "")


class TemporalSums:
    """Sums over the dates of each pixel: three maps of the labels, and three of each model."""

    def __init__(self, pixels: int, models: tuple[str, ...]) -> None:
        """Start with no date.

        Args:
            pixels: Number of pixels of all extents.
            models: Names of the models.
        """
        self._labels = _sums(pixels)  # n, y, y^2
        self._models = {name: _sums(pixels) for name in models}  # p, p^2, p y

    @classmethod
    def joined(cls, parts: Sequence[TemporalSums]) -> TemporalSums:
        """The sums over the dates of all parts, which have the same pixels and models."""
        labels, models = parts[0].arrays
        whole = cls(labels.shape[1], tuple(models))
        for some in trimming(_parts(labels.shape[1])):
            for part in parts:
                whole._labels[:, some] += part._labels[:, some]
                for name, sums in whole._models.items():
                    sums[:, some] += part._models[name][:, some]
        return whole

    @property
    def arrays(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The sums of the labels and those of each model, each float64 [3, pixels], to be kept."""
        return self._labels, self._models

    @classmethod
    def of_arrays(cls, labels: Tensor, models: Mapping[str, Tensor]) -> TemporalSums:
        """What `arrays` gave."""
        found = cls(0, ())
        found._labels, found._models = labels, dict(models)
        return found

    def add_labels(self, pixels: LabelledPixels) -> None:
        """Add the labels of a batch."""
        y = pixels.target
        self._labels.index_add_(1, pixels.pixel, torch.stack((torch.ones_like(y), y, y * y)))

    def add(self, model: str, pixels: LabelledPixels, prediction: Tensor) -> None:
        """Add a model's predictions, float64 [pixels], for the same batch."""
        p, y = prediction, pixels.target
        self._models[model].index_add_(1, pixels.pixel, torch.stack((p, p * p, p * y)))

    def between_pixels(self, layout: Layout) -> dict[str, float]:
        """Sum of n (mean of a pixel - mean of its extent)^2: of the `LABELS`, and of each model's errors, p - y."""
        n, y, _ = self._labels
        errors = {name: _between(n, (sums[0], y), layout) for name, sums in self._models.items()}
        return {LABELS: _between(n, (y,), layout), **errors}

    def correlation(self, model: str) -> npt.NDArray[np.float64]:
        """Pearson's correlation over the dates of each pixel; NaN below 5 dates, or where either is constant."""
        kept: npt.NDArray[np.float64] = scratch((self._labels.shape[1],), np.float64)
        for some in trimming(_parts(len(kept))):
            n, y, yy = self._labels[:, some]
            p, pp, py = self._models[model][:, some] / n
            found = correlation(y / n, p, yy / n, pp, py)
            kept[some] = torch.where(n >= LEAST_DATES, found, torch.nan).numpy()
        return kept


def _sums(pixels: int) -> Tensor:
    return torch.from_numpy(scratch((3, pixels), np.float64))


def _parts(pixels: int) -> list[slice]:
    return [slice(start, min(start + PIXELS, pixels)) for start in range(0, pixels, PIXELS)]


def _between(n: Tensor, terms: tuple[Tensor, ...], layout: Layout) -> float:
    """Sum of n (mean of a pixel - mean of its extent)^2, of totals that are the first term, or it less the second."""
    parts = _parts(len(n))

    def total(some: slice) -> Tensor:
        return terms[0][some] if len(terms) == 1 else terms[0][some] - terms[1][some]

    number, sums = n.new_zeros(2, len(layout.shapes))
    for some in trimming(parts):
        place = torch.from_numpy(layout.extents(some))
        number.index_add_(0, place, n[some])
        sums.index_add_(0, place, total(some))
    found = 0.0
    for some in trimming(parts):
        here = n[some] > 0
        extents = torch.from_numpy(layout.extents(some))[here]
        means = total(some)[here] / n[some][here] - (sums / number)[extents]
        found += float((n[some][here] * means**2).sum())
    return found
