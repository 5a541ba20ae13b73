"""Area of applicability: where the inputs are like those that the model was trained on.

Meyer & Pebesma 2021 (Methods in Ecology and Evolution 12, doi:10.1111/2041-210X.13650). The dissimilarity index of a
pixel is the distance of its scaled features from the nearest training pixel, in mean distances of training pixels from
each other. The threshold is the largest index of a training pixel, outliers left out, when the pixels of its own season
are held out: beyond it, held-out seasons have not shown what the model does. All features weigh the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist, pdist

from mlssm.grid import Floats

WHISKER = 1.5  # interquartile ranges above the upper quartile, beyond which an index is an outlier
CHUNK = 2048  # pixels that are compared at once
SAMPLED = 64  # pixels of a place and day whose nearest training pixels are tried first
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Applicability:
    """What training pixels are like.

    Attributes:
        features: Names of the features [F].
        points: Scaled features of training pixels [n, F].
        mean_distance: Of these from each other.
        threshold: Dissimilarity index up to which the model applies.
    """

    features: tuple[str, ...]
    points: Array
    mean_distance: float
    threshold: float

    @classmethod
    def fit(cls, features: Sequence[str], points: Array, groups: npt.NDArray[np.int64]) -> Applicability | None:
        """From training pixels [n, F], and the season or date that each is held out with [n].

        Returns:
            None where there are fewer than two groups, or all pixels are alike.
        """
        names = np.unique(groups)
        if len(names) < 2:
            return None
        mean_distance = float(pdist(points).mean())
        if not mean_distance > 0:
            return None
        indices = np.empty(len(points))
        for name in names:
            own = groups == name
            indices[own] = cdist(points[own], points[~own]).min(axis=1) / mean_distance
        lower, upper = np.quantile(indices, [0.25, 0.75])
        threshold = float(indices[indices <= upper + WHISKER * (upper - lower)].max())
        return cls(tuple(features), points.astype(np.float32), mean_distance, threshold)

    def index(self, values: Array) -> Floats:
        """Dissimilarity index of pixels [m, F]; NaN where a feature is missing [m]."""
        return self._from(values, self.points)

    def bounded_index(self, values: Array) -> Floats:
        """The index of pixels [m, F] beyond the threshold; of others a number between theirs and the threshold [m].

        Enough to tell which pixels are outside, and many times as fast where few are: pixels of one place and day are
        like each other, so that most are near one of the training pixels that a few of them are nearest to.
        """
        few = values[:: max(1, len(values) // SAMPLED)]
        found = self._from(values, self.points[np.unique(cdist(few, self.points).argmin(axis=1))])
        unsure = ~(found <= self.threshold)
        found[unsure] = self.index(values[unsure])
        return found

    def _from(self, values: Array, points: Array) -> Floats:
        """Distance of pixels [m, F] from the nearest of some points, in mean distances [m]."""
        found = np.full(len(values), np.nan)
        # |x - y|^2 less |x|^2 as one matrix product, many times as fast as the differences
        paired = np.vstack([-2 * points.T, (points**2).sum(axis=1)])
        for start in range(0, len(values), CHUNK):
            part = values[start : start + CHUNK]
            nearest = (np.column_stack([part, np.ones_like(part[:, 0])]) @ paired).min(axis=1) + (part**2).sum(axis=1)
            found[start : start + CHUNK] = np.sqrt(np.maximum(nearest, 0)) / self.mean_distance
        return found

    def state(self) -> dict[str, Any]:
        """Arrays, numbers and strings."""
        return {
            "features": list(self.features),
            "points": self.points,
            "mean_distance": self.mean_distance,
            "threshold": self.threshold,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Applicability:
        """From its state."""
        points = np.asarray(state["points"], np.float32)
        return cls(tuple(state["features"]), points, float(state["mean_distance"]), float(state["threshold"]))
