"""From a map's standard error back to the deviation before SSM is clipped to 0..1, which the rule of zones is made of.

A map keeps the standard error of SSM as it can be, within 0..1; near its ends that is less than the deviation. For a
given prediction one grows with the other, so that a table gives the one from the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlssm.grid import Floats
from mlssm.uncertainty.shape import Shape

NODES = np.linspace(0, 1, 101)  # of predicted SSM
DEVIATIONS = np.geomspace(1e-3, 2, 400)  # SSM units


@dataclass(frozen=True)
class Unclipped:
    """The table.

    Attributes:
        errors: Standard error of each of `NODES` and `DEVIATIONS`, rising along the second dimension.
    """

    errors: Floats

    @classmethod
    def of(cls, shape: Shape) -> Unclipped:
        """For a distribution of scaled residuals."""
        mean, scale = np.broadcast_arrays(NODES[:, None], DEVIATIONS)
        return cls(np.maximum.accumulate(shape.deviation(mean, scale), axis=1))

    def deviation(self, mean: Floats, standard_error: Floats) -> Floats:
        """Deviation before clipping, SSM units [n].

        Args:
            mean: Predicted SSM, 0..1 [n].
            standard_error: Of SSM within 0..1 [n].
        """
        place = np.clip(mean, 0, 1) * (len(NODES) - 1)
        below = np.minimum(place.astype(np.int64), len(NODES) - 2)
        share = place - below
        return (1 - share) * self._at(below, standard_error) + share * self._at(below + 1, standard_error)

    def _at(self, node: np.typing.NDArray[np.int64], standard_error: Floats) -> Floats:
        found = np.empty(len(node))
        for number in np.unique(node):
            own = node == number
            found[own] = np.interp(standard_error[own], self.errors[number], DEVIATIONS)
        return found
