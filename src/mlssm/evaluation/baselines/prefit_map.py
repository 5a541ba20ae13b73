"""The closed-form response by itself: what a network that starts from it adds is seen beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.moment import Moment
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.placed import placed
from mlssm.grid import Floats


@dataclass(frozen=True)
class PrefitMap:
    """Predicts a map that was made before the training.

    Attributes:
        name: As it stands in the tables.
        map: Its name among those of a moment.
        moments: Of all times.
    """

    name: str
    map: str
    moments: Mapping[int, Moment]

    def at(self, place: PatchPlace) -> Floats:
        """SSM of the part of a patch that lies in its extent, 0..1 [h, w]."""
        return self.moments[place.time].maps[place.extent][self.map][place.rows, place.cols].astype(float)

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """See `Baseline.predict`."""
        return placed(places, batch, self.at)
