"""Fitting all baselines on the training patches of an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.baselines import boosting, ridge
from mlssm.evaluation.baselines.antecedent_rain import AntecedentRain, precipitation_indices
from mlssm.evaluation.baselines.base import Baseline
from mlssm.evaluation.baselines.climatology import Climatology
from mlssm.evaluation.baselines.persistence import Persistence
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.evaluation.baselines.pixels import draw_pixels
from mlssm.evaluation.baselines.training import PixelLabels, training_patches
from mlssm.grid import Floats
from mlssm.patches.dates import seasons

BASELINE_NAMES = (
    PixelMean.name,
    Climatology.name,
    Persistence.name,
    AntecedentRain.name,
    ridge.NAME,
    boosting.NAME,
)


def fit_baselines(
    experiment: Experiment, train: PatchDataset, seed: int, start_month: int | None = None
) -> tuple[Baseline, ...]:
    """Fit all baselines, in the order of `BASELINE_NAMES`.

    They are fitted on the valid pixels of the training patches of the regular grid, whatever the sampler draws, one
    patch at a time: in memory are a few maps an area and the sample of `draw_pixels`. An area without training labels
    is predicted as the mean of all training labels by those baselines that are fitted area by area (persistence: until
    it has a label).

    Args:
        experiment: Labels and weather.
        train: The training patches; those of the second pass are not read.
        seed: Of the pixels that the regressions are fitted on, and of boosting.
        start_month: Month that a season begins with, where seasons are held out to choose by; None: days are.

    Raises:
        SplitError: No training pixel has a label.
    """
    days, indices = experiment.cube.local_days, precipitation_indices(experiment)
    sample = draw_pixels(train, days, seed)
    sums = _label_sums(train, [place.shape for place in experiment.field.places], indices)
    fallback = float(sum(part.y.sum() for part in sums) / sum(part.n.sum() for part in sums))
    mean = PixelMean.fit(sums, fallback)
    return (
        mean,
        Climatology.fit(train, mean, days),
        Persistence.of(experiment.retrieval, days, mean),
        AntecedentRain.fit(sums, indices, fallback),
        ridge.fit_ridge(sample, None if start_month is None else seasons(sample.day, start_month)),
        boosting.fit_boosting(sample, seed),
    )


def _label_sums(train: PatchDataset, shapes: Sequence[tuple[int, int]], indices: Floats) -> list[PixelLabels]:
    """The sums of each area's labels."""
    sums = [PixelLabels.empty(shape) for shape in shapes]
    for patch in training_patches(train):
        area, time, rows, cols = patch.place
        labels = patch.labels(sums[area].n[rows, cols].shape)
        sums[area].add(labels, float(indices[area, time]), rows, cols)
    return sums
