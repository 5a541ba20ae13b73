"""Memory of the pixel: what training dates say of it, computed without the season that it is used for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Booleans, Response
from mlssm.response.folds import Retrieved
from mlssm.response.rows import few_rows, fill
from mlssm.scratch import scratch

MEMORY = ("mean_ssm", "response", "span", "spread")


@dataclass(frozen=True)
class Memory:
    """An extent's memory by season.

    Attributes:
        by_season: Of each training season, from the others [channel, h, w]; NaN where a pixel has no label.
        whole: Of all training dates: for every other season [channel, h, w].
    """

    by_season: dict[int, Floats]
    whole: Floats

    def of(self, season: int) -> Floats:
        """The memory to use on dates of a season [channel, h, w], in the order of `MEMORY`."""
        return self.by_season.get(season, self.whole)


def remembered(found: Retrieved, response: Response, training: Booleans) -> Floats:
    """Mean SSM, response, wet - dry (dB) and standard deviation of the training labels [channel, h, w].

    Args:
        found: Labels by references fitted on the training dates.
        response: Fitted on the training dates.
        training: Which times are training dates [T].
    """
    memory: Floats = scratch((len(MEMORY), *found.shape), np.float64)

    def of_rows(rows: slice) -> Floats:
        return _of_rows(found.labels(training, rows), response.slope[rows], found.span[rows])

    fill(memory, of_rows, few_rows(found.shape, int(training.sum())))
    return memory


def _of_rows(labels: Floats, slope: Floats, span: Floats) -> Floats:
    known = np.isfinite(labels)
    count = known.sum(axis=0)
    some = count > 0
    mean = np.divide(np.where(known, labels, 0).sum(axis=0), count, out=np.full(count.shape, np.nan), where=some)
    squares = np.where(known, (labels - mean) ** 2, 0).sum(axis=0)
    spread = np.sqrt(np.divide(squares, count, out=np.full(count.shape, np.nan), where=some))
    return np.where(some, np.stack([mean, slope, span, spread]), np.nan)
