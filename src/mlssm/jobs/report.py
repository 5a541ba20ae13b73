"""What a run keeps of its evaluation: metrics, tables, sums, and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.evaluation.breakdown import (
    correlation_table,
    decomposition_table,
    detection_table,
    scores_by_area,
    scores_by_bin,
    scores_by_date,
    spatial_correlation,
)
from mlssm.evaluation.evaluate import Evaluation, SplitEvaluation
from mlssm.evaluation.page import render
from mlssm.evaluation.run_figures import run_figures
from mlssm.evaluation.run_page import run_page
from mlssm.evaluation.sums_file import FILE, save_sums
from mlssm.evaluation.table import Kind, as_csv, as_markdown
from mlssm.scores.detection import detections
from mlssm.scores.epoch import EpochPoint
from mlssm.tracking.run import TrackedRun


def report(
    run: TrackedRun,
    experiment: Experiment,
    config: TrainConfig,
    network: nn.Module,
    evaluation: Evaluation,
    history: Sequence[EpochPoint],
) -> None:
    """Log the final metrics, the tables, the test split's sums, the figures, and the report that shows them.

    Args:
        run: The tracked run.
        experiment: What it was trained on.
        config: What it was told.
        network: The trained network.
        evaluation: Its scores.
        history: The course of the training.
    """
    days = experiment.cube.local_days
    run.log_metrics(final_metrics(evaluation))
    log_scores(run, evaluation)
    log_breakdown(run, evaluation, days)
    log_sums(run, evaluation.splits["test"], days)
    figures = run_figures(experiment, network, evaluation, history)
    for item in figures:
        run.log_figure(item.figure, f"figures/{item.stem}.png")
    run.log_text(render(run_page(config, evaluation, days, figures)), "report.html")


def log_scores(run: TrackedRun, evaluation: Evaluation) -> None:
    """Log the table of scores, as `scores.csv` and, with the verdict, as `scores.md`."""
    run.log_text(as_csv(evaluation.rows), "scores.csv")
    run.log_text(f"{as_markdown(evaluation.rows)}\n{evaluation.verdict}\n", "scores.md")


def log_breakdown(run: TrackedRun, evaluation: Evaluation, days: npt.NDArray[np.datetime64]) -> None:
    """Log the scores by date, moisture and area, the detection, the correlations, and the parts of the error.

    Args:
        run: The tracked run.
        evaluation: The scores.
        days: Local day of each acquisition in the cube.
    """
    run.log_table(scores_by_date(evaluation, days), "scores_by_date")
    run.log_table(scores_by_bin(evaluation), "scores_by_bin")
    run.log_table(scores_by_area(evaluation), "scores_by_area")
    run.log_table(detection_table(evaluation), "detection")
    run.log_table(decomposition_table(evaluation), "decomposition")
    run.log_table(correlation_table(evaluation), "correlation")


def log_sums(run: TrackedRun, found: SplitEvaluation, days: npt.NDArray[np.datetime64]) -> None:
    """Log a split's sums as `sums.npz`; arguments as in `save_sums`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        save_sums(found, days, path)
        run.log_file(path)


def final_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The scores as metrics, the network's bare, the others' under `baseline/<name>/` and `control/<name>/`.

    `{split}/n`, `{split}/{distribution}/{score}` and `.../skill`; of the network also `{split}/natural/r2_low` and
    `r2_high`, `{split}/detection/{pod,far,csi}_{threshold}`, and the medians `{split}/temporal_corr` and
    `{split}/spatial_corr`.
    """
    metrics: dict[str, float] = {}
    for row in evaluation.rows:
        prefix, found = _prefix(row.model, row.kind, evaluation.network), asdict(row.scores)
        n = found.pop("n")
        if row.distribution == "natural":
            metrics[f"{prefix}{row.split}/n"] = n  # the same in the balanced one
        elif row.distribution == "two_pass":
            found["n"] = n
        found["skill"] = row.skill
        if row.kind == "network" and row.distribution == "natural":
            found |= {"r2_low": row.intervals.r2.low, "r2_high": row.intervals.r2.high}
        metrics |= {f"{prefix}{row.split}/{row.distribution}/{name}": value for name, value in found.items()}
    return metrics | _detection_metrics(evaluation) | _correlation_metrics(evaluation)


def _prefix(model: str, kind: Kind, network: str) -> str:
    if kind == "network":
        return ""
    name = model.removeprefix(f"{network}, ").replace(" ", "_")
    return f"{kind}/{name}/"


def _detection_metrics(evaluation: Evaluation) -> dict[str, float]:
    return {
        f"{split}/detection/{name}_{found.threshold:g}": getattr(found, name)
        for split, part in evaluation.splits.items()
        for found in detections(part.wet[evaluation.network], evaluation.config.wet_thresholds)
        for name in ("pod", "far", "csi")
    }


def _correlation_metrics(evaluation: Evaluation) -> dict[str, float]:
    metrics, network = {}, evaluation.network
    for split, part in evaluation.splits.items():
        metrics[f"{split}/temporal_corr"] = part.temporal[network].median
        metrics[f"{split}/spatial_corr"] = spatial_correlation(part.sums[network]).median
    return metrics
