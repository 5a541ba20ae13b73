"""Fitting all baselines on the training patches of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlssm.crew import Crew
from mlssm.data.assemble import Experiment
from mlssm.data.batch import Batch
from mlssm.data.dataset import PatchDataset
from mlssm.data.place import PatchPlace
from mlssm.evaluation.baselines import boosting, ridge
from mlssm.evaluation.baselines.antecedent_rain import AntecedentRain, precipitation_indices
from mlssm.evaluation.baselines.base import Baseline
from mlssm.evaluation.baselines.climatology import Climatology, DateLabels
from mlssm.evaluation.baselines.persistence import Persistence
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.evaluation.baselines.pixels import PixelDraw, PixelSample
from mlssm.evaluation.baselines.training import PixelLabels, TrainingPatch, patches_of, regular_positions, wetness
from mlssm.evaluation.baselines.truth import TruthFit
from mlssm.evaluation.parts import Patches, look_at
from mlssm.grid import Floats
from mlssm.patches.dates import seasons

TOGETHER = 16  # training patches that are read at once
BASELINE_NAMES = (
    PixelMean.name,
    Climatology.name,
    Persistence.name,
    AntecedentRain.name,
    ridge.NAME,
    boosting.NAME,
)


class LabelsOfPatch(NamedTuple):
    """What baselines are fitted on.

    Attributes:
        place: Where and when a patch lies.
        labels: SSM 0..1 of the part that lies in the extent, float64 [h, w]; NaN where there is none.
        drawn: Pixels that regressions are fitted on; None where there is none.
    """

    place: PatchPlace
    labels: Floats
    drawn: PixelSample | None


@dataclass(frozen=True)
class ReadLabels:
    """Reads training patches; see `mlssm.evaluation.parts.Look`.

    Attributes:
        shapes: Rows and columns of each extent.
        draw: Which pixels are drawn.
    """

    shapes: Sequence[tuple[int, int]]
    draw: PixelDraw

    def __call__(self, batch: Batch, places: Sequence[PatchPlace]) -> list[LabelsOfPatch]:
        """What baselines need of each patch."""
        return [self._of(patch) for patch in patches_of(batch, places)]

    def _of(self, patch: TrainingPatch) -> LabelsOfPatch:
        (height, width), (rows, cols) = self.shapes[patch.place.extent], patch.place[2:]
        inside = min(rows.stop, height) - rows.start, min(cols.stop, width) - cols.start
        return LabelsOfPatch(patch.place, patch.labels(inside), self.draw.of(patch))


def fit_baselines(
    experiment: Experiment,
    train: PatchDataset,
    seed: int,
    start_month: int | None = None,
    truth_folder: Path | None = None,
    crew: Crew | None = None,
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
        crew: Who reads the patches; None: here, one batch after the other.

    Raises:
        SplitError: No training pixel has a label.
    """
    days, indices = experiment.cube.local_days, precipitation_indices(experiment)
    shapes = [place.shape for place in experiment.field.places]
    draw = PixelDraw(train, days, seed)
    dates = DateLabels(len(shapes), len(days), len(regular_positions(train)), train.size)
    sums, truth = [PixelLabels.empty(shape) for shape in shapes], TruthFit.of(experiment, truth_folder)

    def add(found: Sequence[LabelsOfPatch]) -> None:
        for place, labels, drawn in found:
            extent, time, rows, cols = place
            sums[extent].add(labels, wetness(float(indices[extent, time])), rows, cols)
            dates.add(place, labels)
            draw.add(drawn)
            if truth is not None:
                truth.add(place, labels)

    patches = Patches(train, TOGETHER, regular_positions(train))
    look_at(patches, ReadLabels(shapes, draw), add, crew, "baselines")
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
