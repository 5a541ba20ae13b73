"""What a run keeps of its evaluation: metrics, tables, and figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import NETWORK, Evaluation
from mlssm.evaluation.figures import AreaMaps, EpochPoint, density, loss_curves, map_triplet
from mlssm.evaluation.table import ScoreRow, as_csv, as_markdown
from mlssm.mapping.area import map_area
from mlssm.tracking.run import TrackedRun
from mlssm.training.metrics import Scores, per_bin, per_date, scores

TILE, OVERLAP = 128, 32  # as predict.py has them unless told otherwise


def report(
    run: TrackedRun,
    experiment: Experiment,
    network: nn.Module,
    evaluation: Evaluation,
    history: Sequence[EpochPoint],
) -> None:
    """Log the final metrics, the tables, and the figures.

    Args:
        run: The tracked run.
        experiment: What it was trained on.
        network: The trained network.
        evaluation: Its scores.
        history: The course of the training.
    """
    run.log_metrics(final_metrics(evaluation.rows))
    run.log_text(as_csv(evaluation.rows), "scores.csv")
    run.log_text(as_markdown(evaluation.rows), "scores.md")
    run.log_table(scores_by_date(evaluation, experiment.cube.local_days), "scores_by_date")
    run.log_table(scores_by_bin(evaluation), "scores_by_bin")
    run.log_figure(loss_curves(history), "figures/loss.png")
    for split in ("val", "test"):
        found = evaluation.splits[split]
        figure = density(found.histogram, f"{NETWORK}, {split}, natural", scores(found.sums[NETWORK]))
        run.log_figure(figure, f"figures/density_{split}.png")
    time = median_date(evaluation)
    day = experiment.cube.local_days[time].astype(dt.date)
    run.log_figure(map_triplet(area_maps(experiment, network, time), day), "figures/maps_test.png")


def final_metrics(rows: Sequence[ScoreRow]) -> dict[str, float]:
    """The table as metrics: `{split}/{distribution}/{score}`, and under `baseline/NAME/` those of the baselines."""
    metrics: dict[str, float] = {}
    for row in rows:
        prefix = "" if row.model == NETWORK else f"baseline/{row.model.replace(' ', '_')}/"
        found = asdict(row.scores)
        metrics[f"{prefix}{row.split}/n"] = found.pop("n")  # the same in both distributions
        metrics |= {f"{prefix}{row.split}/{row.distribution}/{name}": value for name, value in found.items()}
    return metrics


def scores_by_date(evaluation: Evaluation, days: npt.NDArray[np.datetime64]) -> pd.DataFrame:
    """Natural scores of each model on each date.

    Args:
        evaluation: The sums.
        days: Local day of each acquisition in the cube.
    """
    return pd.DataFrame(
        {"split": split, "date": str(days[time]), "model": model, **asdict(found)}
        for split, part in evaluation.splits.items()
        for model, sums in part.sums.items()
        for time, found in zip(part.times, per_date(sums), strict=True)
    )


def scores_by_bin(evaluation: Evaluation) -> pd.DataFrame:
    """Scores of each model in each bin of retrieved SSM, driest first; a bin without pixels has none."""
    return pd.DataFrame(
        {"split": split, "ssm_from": low, "ssm_to": high, "model": model, **asdict(found)}
        for split, part in evaluation.splits.items()
        for model, sums in part.sums.items()
        for low, high, found in _binned(per_bin(sums))
    )


def _binned(found: Sequence[Scores]) -> list[tuple[float, float, Scores]]:
    edges = np.linspace(0, 1, len(found) + 1).round(6).tolist()
    return list(zip(edges[:-1], edges[1:], found, strict=True))


def area_maps(experiment: Experiment, network: nn.Module, time: int) -> list[AreaMaps]:
    """Retrieved and predicted SSM of every area at one acquisition."""
    maps = []
    everything = slice(None)
    for area in range(len(experiment.stack.areas)):
        retrieved = experiment.retrieval.labels(area, np.array([time]), everything, everything).ssm[0]
        predicted = map_area(network, experiment.features, area, experiment.moments[time], TILE, OVERLAP)
        pixel = experiment.stack.working.grid.pixel
        maps.append(AreaMaps(f"area {area + 1}", retrieved, predicted, pixel))
    return maps


def median_date(evaluation: Evaluation) -> int:
    """The test date, a position in the cube, whose RMSE is the median: neither the best nor the worst is shown.

    Raises:
        ValueError: No test date has a labelled pixel.
    """
    test = evaluation.splits["test"]
    errors = np.array([date.rmse for date in per_date(test.sums[NETWORK])])
    known = np.flatnonzero(np.isfinite(errors))
    if not known.size:
        raise ValueError("no test date has a labelled pixel")
    ordered = known[np.argsort(errors[known])]
    return test.times[int(ordered[len(ordered) // 2])]
