"""Each pixel's training mean, whatever the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.placed import placed
from mlssm.evaluation.baselines.training import PixelLabels, pixel_means
from mlssm.grid import Floats


@dataclass(frozen=True)
class PixelMean:
    """Each pixel is predicted as its training mean, whatever the weather.

    Attributes:
        maps: Training mean of each extent, SSM 0..1 [h, w].
    """

    name: ClassVar[str] = "pixel mean"
    maps: tuple[Floats, ...]

    @classmethod
    def fit(cls, sums: Sequence[PixelLabels], fallback: float) -> Self:
        """Average the training labels.

        Args:
            sums: Of each extent's labels.
            fallback: Mean of all extents' training labels, SSM 0..1. A pixel without labels gets its extent's mean, and
                an extent without any gets this.
        """
        return cls(tuple(pixel_means(part.y, part.n, fallback) for part in sums))

    def at(self, place: PatchPlace) -> Floats:
        """SSM of the part of a patch that lies in its extent, [h, w]."""
        return self.maps[place.extent][place.rows, place.cols]

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """See `Baseline.predict`."""
        return placed(places, batch, self.at)
