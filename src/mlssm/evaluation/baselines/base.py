"""What every baseline is: something that knows a patch's place and inputs, and says its soil moisture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace


class Baseline(Protocol):
    """A fitted baseline."""

    @property
    def name(self) -> str:
        """As it stands in the tables."""

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """SSM 0..1 of a batch of patches, float64 [B, 1, H, W]; of no meaning where a patch has no label.

        Args:
            places: Where and when each patch lies.
            batch: The patches; its target is not read.
        """
