"""What of the network's inputs tells whether a pixel is like those that it was trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.data.features import Inputs
from mlssm.data.prefit import BASE
from mlssm.data.spec import FeatureSpec
from mlssm.patches.dates import seasons
from mlssm.uncertainty.applicability import Applicability
from mlssm.variables import AVAILABLE

Array = npt.NDArray[np.float32]
MOST_PIXELS = 1000  # of training that others are compared with
PATCHES_A_DATE = 4


def compared(spec: FeatureSpec) -> tuple[list[int], list[int]]:
    """Positions of the dynamic and static channels that are compared: those with values, but for the base.

    The base is a prediction, and a pixel is not unlike others because it is wetter.
    """
    dynamic = [place for place, name in enumerate(spec.dynamic) if not name.endswith(AVAILABLE)]
    static = [place for place, name in enumerate(spec.static) if not name.endswith(AVAILABLE) and name != BASE]
    return dynamic, static


def feature_names(spec: FeatureSpec) -> tuple[str, ...]:
    """Names of what is compared, in the order of `vectors`."""
    dynamic, static = compared(spec)
    return (*(spec.dynamic[place] for place in dynamic), *(spec.static[place] for place in static))


def vectors(spec: FeatureSpec, inputs: Inputs) -> Array:
    """Each pixel's scaled features, of the weather the mean over the window [h * w, F].

    Args:
        spec: The channels.
        inputs: Of a tile; its weather may be of cells.
    """
    dynamic, static = compared(spec)
    height, width = inputs.static.shape[1:]
    weather = inputs.dynamic[:, dynamic].mean(axis=0)
    down, across = -(-height // weather.shape[1]), -(-width // weather.shape[2])
    weather = weather.repeat(down, axis=1).repeat(across, axis=2)[:, :height, :width]
    return np.concatenate([weather, inputs.static[static]]).reshape(len(dynamic) + len(static), -1).T


def fit_applicability(experiment: Experiment, start_month: int, seed: int) -> Applicability | None:
    """What the training pixels are like, as many of each date; held out by season, or by date where one season is all.

    Args:
        experiment: With its training patches.
        start_month: That seasons begin with.
        seed: Of the pixels that are drawn.
    """
    dataset = experiment.datasets["train"]
    times = [int(time) for time in dataset.times]
    rng, share = np.random.default_rng(seed), max(1, MOST_PIXELS // max(1, len(times)))
    parts = [_of_date(experiment, dataset, time, share, rng) for time in times]
    groups = seasons(experiment.cube.local_days[times], start_month)
    if len(np.unique(groups)) < 2:
        groups = np.arange(len(times))
    each = np.repeat(groups, [len(part) for part in parts])
    if not each.size:
        return None
    return Applicability.fit(feature_names(experiment.spec), np.concatenate(parts), each)


def _of_date(experiment: Experiment, dataset: PatchDataset, time: int, share: int, rng: np.random.Generator) -> Array:
    """At most `share` labelled pixels of a few patches of a date [n, F]."""
    own = np.flatnonzero(dataset.patches["time"].to_numpy() == time)
    found = []
    for position in rng.choice(own, min(PATCHES_A_DATE, len(own)), replace=False):
        place, valid = dataset.place(int(position)), dataset[int(position)].valid[0].numpy()
        inputs = experiment.features.patch(place.extent, experiment.moments[time], place.rows, place.cols)
        found.append(vectors(experiment.spec, inputs)[valid.ravel()])
    rows = np.concatenate(found)
    return rows[np.sort(rng.choice(len(rows), min(share, len(rows)), replace=False))]
