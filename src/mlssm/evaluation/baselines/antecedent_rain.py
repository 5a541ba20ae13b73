"""Each pixel's training mean and the rain of the days before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines.placed import placed
from mlssm.evaluation.baselines.training import WHOLE, PixelLabels, pixel_means, wetness
from mlssm.grid import Floats
from mlssm.weather.interpolation import inverse_distance
from mlssm.weather.stations import VARIABLES
from mlssm.weather.windows import antecedent_precipitation_index

EXTENT_SHARE = 0.7
# Below this sum of squared deviations of log(1 + index) a pixel saw but one wetness, and has no slope of its own.
LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class RainResponse:
    """How one extent's pixels answer to rain.

    A pixel's SSM is its training mean plus a slope times the anomaly of log(1 + antecedent precipitation index). The
    slope is 0.7 of the extent's mean slope and 0.3 of the pixel's own least-squares slope: speckle makes a single
    pixel's slope noisy, and the share of the extent steadies it. The index follows Kohler & Linsley 1951; see
    `mlssm.weather.windows.antecedent_precipitation_index`.

    Attributes:
        mean: Training mean [h, w], SSM 0..1.
        wetness: Training mean of log(1 + index) at each pixel's valid dates [h, w].
        slope: SSM per unit of log(1 + index) [h, w].
    """

    mean: Floats
    wetness: Floats
    slope: Floats

    @classmethod
    def fit(cls, sums: PixelLabels, fallback: float) -> Self:
        """Fit means and slopes on the training labels of one extent.

        Args:
            sums: Of the labels.
            fallback: Mean of all extents' training labels, SSM 0..1, for an extent without any. A pixel without labels
                gets its extent's means, and one that saw a single wetness its extent's slope.
        """
        # where no pixel has a label the slope is 0, and the wetness does not matter
        return cls(pixel_means(sums.y, sums.n, fallback), pixel_means(sums.x, sums.n, 0.0), _slope(sums))

    def ssm(self, api: float, rows: slice = WHOLE, cols: slice = WHOLE) -> Floats:
        """SSM of the rows and columns, 0..1, on a day with this antecedent precipitation index (mm).

        Raises:
            ValueError: The index is negative or not finite.
        """
        anomaly = wetness(api) - self.wetness[rows, cols]
        return np.clip(self.mean[rows, cols] + self.slope[rows, cols] * anomaly, 0.0, 1.0)


@dataclass(frozen=True)
class AntecedentRain:
    """The antecedent precipitation yardstick.

    Attributes:
        responses: Of each extent.
        indices: Antecedent precipitation index of each extent at each acquisition, mm [extent, time].
    """

    name: ClassVar[str] = "antecedent rain"
    responses: tuple[RainResponse, ...]
    indices: Floats

    @classmethod
    def fit(cls, sums: Sequence[PixelLabels], indices: Floats, fallback: float) -> Self:
        """Fit every extent; see `RainResponse.fit`."""
        return cls(tuple(RainResponse.fit(part, fallback) for part in sums), indices)

    def at(self, place: PatchPlace) -> Floats:
        """SSM of the part of a patch that lies in its extent, 0..1 [h, w]."""
        api = float(self.indices[place.extent, place.time])
        return self.responses[place.extent].ssm(api, place.rows, place.cols)

    def predict(self, places: Sequence[PatchPlace], batch: Batch) -> Tensor:
        """See `Baseline.predict`."""
        return placed(places, batch, self.at)


def precipitation_indices(experiment: Experiment) -> Floats:
    """Antecedent precipitation index at each extent's middle at the end of acquisitions' windows, mm [extent, time]."""
    field, config = experiment.field, experiment.field.config
    middles = np.array([[place.x.mean(), place.y.mean()] for place in field.places])
    rain = field.weather.values[:, :, VARIABLES.index("precipitation")].T
    daily = inverse_distance(rain, field.station_xy, middles, config.neighbours, config.power)
    position = (experiment.ends - field.weather.days[0]).astype(int)
    inside = (position >= 0) & (position < daily.shape[1])
    found = [antecedent_precipitation_index(extent)[np.where(inside, position, 0)] for extent in daily]
    return np.where(inside, np.stack(found), 0.0)


def _slope(sums: PixelLabels) -> Floats:
    """0.7 of the extent's mean slope and 0.3 of the pixel's own least-squares slope, SSM per unit of wetness [h, w]."""
    own, known = sums.slope(LEAST_SPREAD)
    extent = float(own.mean(where=known)) if known.any() else 0.0
    own[~known] = extent
    own *= 1 - EXTENT_SHARE
    own += EXTENT_SHARE * extent
    return own
