"""The figures of a run, each with a sentence on how to read it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.evaluation.breakdown import Breakdown
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.figures import (
    ExtentCorrelation,
    ExtentMaps,
    by_bin,
    by_date,
    decomposition,
    density,
    detection,
    loss_curves,
    map_triplet,
    skill_bars,
    temporal_correlation_map,
)
from mlssm.evaluation.picture import NamedFigure
from mlssm.evaluation.rows import best_baseline
from mlssm.inference.extent import map_extent
from mlssm.scores.epoch import EpochPoint
from mlssm.scores.sums import per_date, scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE, OVERLAP = 128, 32  # as predict.py has them unless told otherwise
READ_SKILL = (
    "Bars are R2 with their intervals; the dashed line is the cap, the R2 of the best prediction that knows the "
    "noise-free backscatter. A network below the best baseline has nothing to add to it; one that does as well under a "
    "control has not used what the control takes away."
)
READ_DENSITY = "Predicted against retrieved moisture: a good model lies along the diagonal, one that hedges lies flat."
READ_DATES = "Above, the mean over the pixels of each date, retrieved and predicted; below, the error of each date."
READ_BINS = (
    "Errors by retrieved moisture. Noisy labels alone make the driest bins look over- and the wettest underpredicted, "
    "as an extreme label is partly an extreme error; counts show which bins weigh."
)
READ_DETECTION = "The upper right corner is perfect. To the left lie false alarms, below lie missed wet states."
READ_PARTS = (
    "Bars add up to the mean square error: an offset, a spread that is too small or too large, and what is left, "
    "errors of time and place. No model gets below the dashed line, the speckle of the scored labels."
)
READ_OVER_TIME = "Each pixel's correlation over the test dates: where the model follows the weather, and where not."
READ_MAPS = "The test date of median error: neither the best nor the worst. Grey is masked."
READ_LOSS = "The epoch of the lowest validation error is kept. A gap that opens is overfitting."

READ_COURSES = (
    "Each line below is a training that held out the season it is validated on; its best epoch is marked. The network "
    "was then trained on all of them, which is the loss above."
)


@dataclass(frozen=True)
class RunFigure(NamedFigure):
    """A figure of a run.

    Attributes:
        title: Title in the report.
        how_to_read: A sentence or two.
    """

    title: str
    how_to_read: str


def run_figures(
    experiment: Experiment,
    network: nn.Module,
    evaluation: Evaluation,
    tables: Breakdown,
    history: Sequence[EpochPoint],
    courses: Mapping[str, Sequence[EpochPoint]],
) -> tuple[RunFigure, ...]:
    """All figures of a run, those of the test split first.

    Args:
        experiment: What it was trained on.
        network: The trained network.
        evaluation: Its scores.
        tables: The same taken apart.
        history: The course of the training.
        courses: Of the trainings that chose its epochs, by the season that each held out.
    """
    skill, *others = score_figures(evaluation, tables, _pixel(experiment))
    maps = RunFigure("maps_test", _maps(experiment, network, evaluation), "Maps", READ_MAPS)
    if not history and not courses:
        return (skill, maps, *others)
    reading = READ_COURSES if courses else READ_LOSS
    loss = RunFigure("loss", loss_curves(history, courses), "Course of the training", reading)
    return (skill, maps, *others, loss)


def score_figures(evaluation: Evaluation, tables: Breakdown, pixel: float) -> tuple[RunFigure, ...]:
    """The figures that need no network, those of the test split first.

    Args:
        evaluation: The scores.
        tables: The same taken apart.
        pixel: Of the extents, metres.
    """
    shown = _shown(evaluation)
    dates, bins, wet = (_of_test(table, shown) for table in (tables.by_date, tables.by_bin, tables.detection))
    parts = _of_test(tables.decomposition, list(evaluation.kinds))
    return (
        RunFigure("skill", skill_bars(_bars(evaluation), "test, natural"), "Beside the others", READ_SKILL),
        RunFigure("density_test", _density(evaluation, "test"), "Predicted and retrieved, test", READ_DENSITY),
        RunFigure("by_date", by_date(dates, "test"), "By date", READ_DATES),
        RunFigure("by_bin", by_bin(bins, "test"), "By moisture", READ_BINS),
        RunFigure("detection", detection(wet, "test"), "Detection of wet states", READ_DETECTION),
        RunFigure("decomposition", decomposition(parts, "test, natural"), "What the error is made of", READ_PARTS),
        RunFigure("temporal_correlation", _over_time(evaluation, pixel), "Over time", READ_OVER_TIME),
        RunFigure("density_val", _density(evaluation, "val"), "Predicted and retrieved, validation", READ_DENSITY),
    )


def median_date(evaluation: Evaluation) -> int:
    """The test date, a position in the cube, whose RMSE is the median: neither the best nor the worst is shown.

    Raises:
        ValueError: No test date has a labelled pixel.
    """
    test = evaluation.splits["test"]
    errors = np.array([date.rmse for date in per_date(test.sums[evaluation.network])])
    known = np.flatnonzero(np.isfinite(errors))
    if not known.size:
        raise ValueError("no test date has a labelled pixel")
    ordered = known[np.argsort(errors[known])]
    return test.times[int(ordered[len(ordered) // 2])]


def extent_maps(experiment: Experiment, network: nn.Module, time: int) -> list[ExtentMaps]:
    """Retrieved and predicted SSM of every extent at one acquisition."""
    maps = []
    everything = slice(None)
    for extent in range(len(experiment.stack.extents)):
        retrieved = experiment.retrieval.labels(extent, np.array([time]), everything, everything).ssm[0]
        moment, margin = experiment.moments[time], experiment.datasets["test"].margin
        predicted = map_extent(network, experiment.features, extent, moment, TILE, OVERLAP, margin)
        maps.append(ExtentMaps(f"extent {extent + 1}", retrieved, predicted, _pixel(experiment)))
    return maps


def _shown(evaluation: Evaluation) -> list[str]:
    """The network and the best baseline: more lines than two hide each other."""
    best = best_baseline(evaluation.rows, "test", "natural")
    return [evaluation.network] if best is None else [evaluation.network, best.model]


def _of_test(frame: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    rows = frame[(frame["split"] == "test") & frame["model"].isin(models)]
    return rows.sort_values("model", key=lambda names: names.map(list(models).index), kind="stable")


def _bars(evaluation: Evaluation) -> pd.DataFrame:
    rows = [row for row in evaluation.rows if row.labels[1:] == ("test", "natural")]
    return pd.DataFrame(
        {
            "model": row.model,
            "kind": row.kind,
            **asdict(row.scores),
            "r2_low": row.intervals.r2.low,
            "r2_high": row.intervals.r2.high,
        }
        for row in rows
    )


def _maps(experiment: Experiment, network: nn.Module, evaluation: Evaluation) -> Figure:
    time = median_date(evaluation)
    day: dt.date = experiment.cube.local_days[time].astype(dt.date)
    return map_triplet(extent_maps(experiment, network, time), day)


def _density(evaluation: Evaluation, split: str) -> Figure:
    found = evaluation.splits[split]
    network = evaluation.network
    return density(
        found.histogram, f"{network}, {split}, natural", scores(found.sums[network], "natural", evaluation.track.value)
    )


def _over_time(evaluation: Evaluation, pixel: float) -> Figure:
    maps: tuple[npt.NDArray[np.float64], ...] = evaluation.splits["test"].temporal_maps
    return temporal_correlation_map(
        [ExtentCorrelation(f"extent {place + 1}", values, pixel) for place, values in enumerate(maps)]
    )


def _pixel(experiment: Experiment) -> float:
    return experiment.stack.working.grid.pixel
