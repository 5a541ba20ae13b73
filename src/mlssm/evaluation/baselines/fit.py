"""Fitting all baselines on the training patches of an experiment."""

from __future__ import annotations

from pathlib import Path

from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.baselines import boosting, ridge
from mlssm.evaluation.baselines.antecedent_rain import AntecedentRain, precipitation_indices
from mlssm.evaluation.baselines.base import Baseline
from mlssm.evaluation.baselines.climatology import Climatology, DateLabels
from mlssm.evaluation.baselines.persistence import Persistence
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.evaluation.baselines.pixels import PixelDraw
from mlssm.evaluation.baselines.training import PixelLabels, regular_positions, training_patches, wetness
from mlssm.evaluation.baselines.truth import TruthFit
from mlssm.patches.dates import seasons
from mlssm.scratch import trimming

PATCHES = 64  # from one look at the memory to the next
BASELINE_NAMES = (
    PixelMean.name,
    Climatology.name,
    Persistence.name,
    AntecedentRain.name,
    ridge.NAME,
    boosting.NAME,
)


def fit_baselines(
    experiment: Experiment,
    train: PatchDataset,
    seed: int,
    start_month: int | None = None,
    truth_folder: Path | None = None,
) -> tuple[Baseline, ...]:
    """Fit all baselines, in the order of `BASELINE_NAMES`; and after them the truth, where there is one.

    They are fitted on the valid pixels of the training patches of the regular grid, whatever the sampler draws, which
    are read once, one after the other: in memory are a few maps an extent, a bit a label, and some pixels. An extent
    without training labels is predicted as the mean of all training labels by those baselines that are fitted extent by
    extent (persistence: until it has a label).

    Args:
        experiment: Labels and weather.
        train: The training patches; those of the second pass are not read.
        seed: Of the pixels that the regressions are fitted on, and of boosting.
        start_month: Month that a season begins with, where seasons are held out to choose by; None: days are.
        truth_folder: That of a simulated area's files, which may hold its true soil moisture.

    Raises:
        SplitError: No training pixel has a label.
    """
    days, indices = experiment.cube.local_days, precipitation_indices(experiment)
    shapes = [place.shape for place in experiment.field.places]
    draw = PixelDraw(train, days, seed)
    dates = DateLabels(len(shapes), len(days), len(regular_positions(train)), train.size)
    sums, truth = [PixelLabels.empty(shape) for shape in shapes], TruthFit.of(experiment, truth_folder)
    for patch in trimming(training_patches(train), PATCHES):
        extent, time, rows, cols = patch.place
        labels = patch.labels(sums[extent].n[rows, cols].shape)
        sums[extent].add(labels, wetness(float(indices[extent, time])), rows, cols)
        dates.add(patch.place, labels)
        draw.add(patch)
        if truth is not None:
            truth.add(patch.place, labels)
    fallback = float(sum(part.y.sum() for part in sums) / sum(part.n.sum() for part in sums))
    mean, sample = PixelMean.fit(sums, fallback), draw.sample
    return (
        mean,
        Climatology.fit(dates, mean, days),
        Persistence.of(experiment.retrieval, days, mean),
        AntecedentRain.fit(sums, indices, fallback),
        ridge.fit_ridge(sample, None if start_month is None else seasons(sample.day, start_month)),
        boosting.fit_boosting(sample, seed),
        *(() if truth is None else (truth.fitted(mean),)),
    )
