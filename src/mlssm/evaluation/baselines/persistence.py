"""The last image before the day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.evaluation.baselines.placed import placed
from mlssm.grid import Floats
from mlssm.retrieval.fit import Retrieval

MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Persistence:
    """Each pixel is predicted as its label on the latest earlier local day that has one, of any orbit and split.

    That is what an operator would have had on the day: labels of other splits are measurements by then, retrieved with
    references of training dates. A pixel that never had a label before gets its training mean.
    It looks back from each patch, image by image, until all pixels have a label; so the order of patches does not
    matter, and nothing is kept.

    Attributes:
        retrieval: Gives the labels.
        days: Local day of each acquisition, in the order of time [time].
        mean: The pixels' training means.
        responsive: Pixels of each extent that can have a label at all, in some orbit, bool [h, w].
    """

    name: ClassVar[str] = "persistence"
    retrieval: Retrieval
    days: npt.NDArray[np.datetime64]
    mean: PixelMean
    responsive: tuple[npt.NDArray[np.bool_], ...]

    @classmethod
    def of(cls, retrieval: Retrieval, days: npt.NDArray[np.datetime64], mean: PixelMean) -> Self:
        """Nothing is fitted but the means; arguments as the attributes."""
        return cls(retrieval, days, mean, tuple(extent.labelled for extent in retrieval.extents))

    def at(self, place: PatchPlace) -> Floats:
        """SSM of the part of a patch that lies in its extent, 0..1 [h, w]."""
        rectangle = place.rows, place.cols
        responsive = self.responsive[place.extent][rectangle]
        last = np.full(responsive.shape, np.nan)
        for times in _backwards(np.flatnonzero(self.days < self.days[place.time])):
            for ssm in self.retrieval.labels(place.extent, times, *rectangle).ssm:
                last = np.where(np.isnan(last), ssm, last)
            if not np.isnan(last[responsive]).any():
                break
        return np.where(np.isnan(last), self.mean.at(place), last)

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """See `Baseline.predict`."""
        return placed(places, batch, self.at)


def _backwards(times: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Times from the last to the first, first one, then twice as many as before: most pixels have a recent label."""
    latest_first, start, count = times[::-1], 0, 1
    while start < len(latest_first):
        yield latest_first[start : start + count]
        start, count = start + count, min(2 * count, MOST_AT_ONCE)
