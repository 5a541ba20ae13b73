"""The baselines of each area of an experiment, fitted on its training patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.baselines import AntecedentPrecipitation, LabelSums, PixelMean
from mlssm.weather.interpolation import inverse_distance
from mlssm.weather.stations import VARIABLES
from mlssm.weather.windows import antecedent_precipitation_index

PIXEL_MEAN = "pixel mean"
ANTECEDENT = "antecedent rain"
NAMES = (PIXEL_MEAN, ANTECEDENT)


@dataclass(frozen=True)
class AreaBaselines:
    """The baselines of one area.

    Attributes:
        mean: The pixel's mean.
        antecedent: The antecedent precipitation yardstick.
        api: Antecedent precipitation index of each acquisition, mm, [time].
    """

    mean: PixelMean
    antecedent: AntecedentPrecipitation
    api: npt.NDArray[np.float64]

    def predict(self, name: str, time: int, rows: slice, cols: slice) -> npt.NDArray[np.float64]:
        """SSM 0..1 of a baseline at an acquisition, on the area's rows and columns."""
        if name == PIXEL_MEAN:
            return self.mean.predict(rows, cols)
        return self.antecedent.predict(float(self.api[time]), rows, cols)


def fit_baselines(experiment: Experiment, train: PatchDataset) -> tuple[AreaBaselines, ...]:
    """Fit the baselines of every area.

    Args:
        experiment: Labels and weather.
        train: The training patches; none overlaps another of the same time.
    """
    indices = [area_precipitation_index(experiment, area) for area in range(len(experiment.stack.areas))]
    sums = [LabelSums.empty(place.shape) for place in experiment.field.places]
    for area, time, rows, cols in places_of(train):
        ssm = experiment.retrieval.labels(area, np.array([time]), rows, cols).ssm[0]
        sums[area].add(ssm, float(indices[area][time]), rows, cols)
    count = sum(part.n.sum() for part in sums)
    mean = float(sum(part.y.sum() for part in sums) / count) if count else float("nan")
    return tuple(
        AreaBaselines(PixelMean.fit(part, mean), AntecedentPrecipitation.fit(part, mean), index)
        for part, index in zip(sums, indices, strict=True)
    )


def places_of(dataset: PatchDataset) -> Iterator[tuple[int, int, slice, slice]]:
    """Area, time, rows and columns of each patch, in the dataset's order; slices may reach past the area."""
    for area, time, row, col in dataset.patches[["area", "time", "row", "col"]].itertuples(index=False):
        yield int(area), int(time), slice(row, row + dataset.size), slice(col, col + dataset.size)


def area_precipitation_index(experiment: Experiment, area: int) -> npt.NDArray[np.float64]:
    """Antecedent precipitation index at an area's middle at the end of each acquisition's window, mm, [time]."""
    field, place = experiment.field, experiment.field.places[area]
    middle = np.array([[place.x.mean(), place.y.mean()]])
    rain = field.weather.values[:, :, VARIABLES.index("precipitation")].T
    config = field.config
    daily = inverse_distance(rain, field.station_xy, middle, config.neighbours, config.power)[0]
    index = antecedent_precipitation_index(daily)
    position = (experiment.cube.window_ends - field.weather.days[0]).astype(int)
    inside = (position >= 0) & (position < len(index))
    return np.where(inside, index[np.clip(position, 0, len(index) - 1)], 0.0)
