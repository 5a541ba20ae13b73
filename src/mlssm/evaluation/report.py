"""What a run keeps of its evaluation: metrics, the table, and figures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
from torch import nn

from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import NETWORK, Evaluation
from mlssm.evaluation.figures import AreaMaps, EpochPoint, density, loss_curves, map_triplet
from mlssm.evaluation.table import ScoreRow, as_csv, as_markdown
from mlssm.mapping.area import map_area
from mlssm.tracking.run import TrackedRun
from mlssm.training.metrics import per_date, scores

TILE, OVERLAP = 256, 32


def report(
    run: TrackedRun,
    experiment: Experiment,
    network: nn.Module,
    evaluation: Evaluation,
    history: Sequence[EpochPoint],
) -> None:
    """Log the final metrics, the table, and the figures.

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
    run.log_figure(loss_curves(history), "figures/loss.png")
    for split in ("val", "test"):
        found = evaluation.network[split]
        figure = density(found.histogram, f"{NETWORK}, {split}, natural", scores(found.sums))
        run.log_figure(figure, f"figures/density_{split}.png")
    time = _median_date(experiment, evaluation)
    day = experiment.cube.local_days[time].astype(dt.date)
    run.log_figure(map_triplet(area_maps(experiment, network, time), day), "figures/maps_test.png")


def final_metrics(rows: Sequence[ScoreRow]) -> dict[str, float]:
    """The table as metrics: `{split}/{distribution}/{score}`, and under `baseline/NAME/` those of the baselines."""
    metrics: dict[str, float] = {}
    for row in rows:
        prefix = "" if row.model == NETWORK else f"baseline/{row.model.replace(' ', '_')}/"
        found = row.scores
        metrics[f"{prefix}{row.split}/n"] = found.n
        for name in ("r2", "rmse", "mae", "corr", "bias", "r2_ceiling"):
            metrics[f"{prefix}{row.split}/{row.distribution}/{name}"] = getattr(found, name)
    return metrics


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


def _median_date(experiment: Experiment, evaluation: Evaluation) -> int:
    """The test date whose RMSE is the median: neither the best nor the worst is shown."""
    errors = np.array([date.rmse for date in per_date(evaluation.network["test"].sums)])
    order = np.argsort(errors)
    known = order[: int(np.isfinite(errors).sum())]
    return int(experiment.datasets["test"].times[known[len(known) // 2]])
