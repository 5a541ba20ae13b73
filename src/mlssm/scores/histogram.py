"""A histogram of predicted against retrieved soil moisture that is filled batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlssm.scores import AnyFloats


class DensityHistogram:
    """Counts of pixels by predicted and by retrieved SSM, in equal bins over 0..1.

    Attributes:
        counts: Pixels [bins of prediction, bins of target]; additive, so that ranks or batches can be summed.
        edges: Bin edges [bins + 1], SSM 0..1.
    """

    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]

    def __init__(self, bins: int) -> None:
        """Start with no pixels.

        Args:
            bins: Bins a side, at least 1.

        Raises:
            ValueError: There are no bins.
        """
        if bins < 1:
            raise ValueError(f"a histogram needs at least 1 bin, not {bins}")
        self.counts = np.zeros((bins, bins), dtype=np.int64)
        self.edges = np.linspace(0.0, 1.0, bins + 1)

    @classmethod
    def joined(cls, parts: Sequence[DensityHistogram]) -> DensityHistogram:
        """The counts of all parts, which have the same bins."""
        whole = cls(len(parts[0].counts))
        for part in parts:
            whole.counts += part.counts
        return whole

    @property
    def n(self) -> int:
        """Pixels counted so far."""
        return int(self.counts.sum())

    def add(self, prediction: AnyFloats, target: AnyFloats) -> None:
        """Count pixels; those that are NaN in either are masked and not counted.

        Args:
            prediction: Predicted SSM, any shape, 0..1.
            target: Retrieved SSM of the same shape, 0..1.

        Raises:
            ValueError: The shapes differ, or a value lies outside 0..1.
        """
        if prediction.shape != target.shape:
            raise ValueError(f"prediction {prediction.shape} and target {target.shape} differ in shape")
        valid = ~(np.isnan(prediction) | np.isnan(target))
        predicted, retrieved = (np.asarray(values[valid], dtype=np.float64) for values in (prediction, target))
        for values in (predicted, retrieved):
            if values.size and (values.min() < 0 or values.max() > 1):
                raise ValueError(f"SSM must lie in 0..1, not {values.min():g}..{values.max():g}")
        counts, _, _ = np.histogram2d(predicted, retrieved, bins=[self.edges, self.edges])
        self.counts += counts.astype(np.int64)
