"""What a run keeps of its evaluation: metrics, tables, sums, and figures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from torch import nn

from mlssm.config import TrainConfig
from mlssm.cube import Cube
from mlssm.data.assemble import Experiment
from mlssm.evaluation.breakdown import Breakdown, spatial_correlation
from mlssm.evaluation.evaluate import Evaluation, SplitEvaluation
from mlssm.evaluation.interval_tables import IntervalTables
from mlssm.evaluation.page import Section, render
from mlssm.evaluation.run_figures import run_figures
from mlssm.evaluation.run_intervals import calibration_figure, intervals_section
from mlssm.evaluation.run_page import run_page
from mlssm.evaluation.sums_file import FILE, save_sums
from mlssm.evaluation.table import LEGEND, ScoreRow, as_csv, as_markdown, as_short_markdown
from mlssm.evaluation.where import doubts, sentences
from mlssm.evaluation.why.section import Why, explain
from mlssm.patches.dates import seasons
from mlssm.scores.detection import detections
from mlssm.scores.epoch import EpochPoint
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.tags import NOTE, VERDICT, WARNINGS

log = logging.getLogger(__name__)

COMPARED = ("val", "test")  # splits; the training split's scores are in the tables


def report(
    run: TrackedRun,
    experiment: Experiment,
    config: TrainConfig,
    network: nn.Module,
    evaluation: Evaluation,
    history: Sequence[EpochPoint],
    courses: Mapping[str, Sequence[EpochPoint]] | None = None,
) -> None:
    """Log the final metrics, the tables, the test split's sums, the figures, and the report that shows them.

    Args:
        run: The tracked run.
        experiment: What it was trained on.
        config: What it was told.
        network: The trained network.
        evaluation: Its scores.
        history: The course of the training.
        courses: Of the trainings that chose its epochs, by the season that each held out; None where none did.
    """
    days = experiment.cube.local_days
    run.log_metrics(final_metrics(evaluation))
    log_scores(run, evaluation)
    keep_verdict(run, evaluation, experiment.cube)
    tables = Breakdown.of(evaluation, experiment.cube, config.window)
    found = where_the_error_lies(evaluation, tables, experiment.cube)
    log_breakdown(run, tables)
    log_sums(run, evaluation.splits["test"], days)
    figures = run_figures(experiment, network, evaluation, tables, history, courses or {})
    for item in figures:
        run.log_image(item.png, f"figures/{item.stem}.png")
    intervals = interval_tables(evaluation, experiment.cube, config)
    more = (*log_intervals(run, intervals), *log_why(run, explain(experiment, network, config, evaluation)))
    run.log_text(render(run_page(config, evaluation, tables, days, figures, found, more)), "report.html")


def interval_tables(evaluation: Evaluation, cube: Cube, config: TrainConfig) -> IntervalTables | None:
    """How the test split's intervals fare, apart; None where nothing was calibrated."""
    if evaluation.intervals is None:
        return None
    days = cube.local_days
    return IntervalTables.of(evaluation.intervals, days, seasons(days, config.split.start_month), evaluation.resampling)


def log_intervals(run: TrackedRun, tables: IntervalTables | None) -> tuple[Section, ...]:
    """Log coverage and width by group, the reliability of probabilities, the ranks, and say what they come to.

    Returns:
        The section of the report; none where nothing was calibrated.
    """
    if tables is None:
        return ()
    run.log_table(tables.groups, "intervals")
    run.log_table(tables.reliability, "reliability")
    run.log_table(tables.pit, "pit")
    figure = calibration_figure(tables)
    run.log_image(figure.png, f"figures/{figure.stem}.png")
    log.info("%s", tables.sentence)
    return (intervals_section(tables, figure),)


def log_why(run: TrackedRun, found: Why | None) -> tuple[Section, ...]:
    """Log which inputs the network goes by, and return the section of the report; none where it was not asked."""
    if found is None:
        return ()
    for stem, table in found.tables.items():
        run.log_table(table, stem)
    for figure in found.figures:
        run.log_image(figure.png, f"figures/{figure.stem}.png")
    return (found.section,)


def log_scores(run: TrackedRun, evaluation: Evaluation) -> None:
    """Log the table of scores, as `scores.csv` and, with the verdict, as `scores.md`."""
    run.log_text(as_csv(evaluation.rows), "scores.csv")
    run.log_text(f"{as_markdown(evaluation.rows)}\n{evaluation.verdict.sentence}\n", "scores.md")


def keep_verdict(run: TrackedRun, evaluation: Evaluation, cube: Cube) -> None:
    """Tag the run with what it comes to and what to beware of, and write its description."""
    found = evaluation.verdict
    warnings = (*found.cautions, *doubts(cube))
    note = _description(run, evaluation, warnings)
    run.set_tags({VERDICT: found.sentence, WARNINGS: "\n".join(warnings), NOTE: note})


def _description(run: TrackedRun, evaluation: Evaluation, warnings: Sequence[str]) -> str:
    """Markdown: the verdict, the short table, and where the report is."""
    beware = "".join(f"- {line}\n" for line in warnings)
    table = f"Test, natural:\n\n{as_short_markdown(evaluation.rows)}"
    parts = (f"**{evaluation.verdict.sentence}**", beware, f"[report.html]({run.artifact_link('report.html')})", table)
    return "\n\n".join(part for part in (*parts, LEGEND) if part)


def log_breakdown(run: TrackedRun, tables: Breakdown) -> None:
    """Log the scores by date, moisture and extent, the detection, the correlations, and the parts of the error."""
    run.log_table(tables.by_date, "scores_by_date")
    run.log_table(tables.by_bin, "scores_by_bin")
    run.log_table(tables.by_extent, "scores_by_extent")
    run.log_table(tables.detection, "detection")
    run.log_table(tables.decomposition, "decomposition")
    run.log_table(tables.correlation, "correlation")
    run.log_table(tables.variance_parts, "variance_parts")
    run.log_table(tables.worst_dates, "worst_dates")


def where_the_error_lies(evaluation: Evaluation, tables: Breakdown, cube: Cube) -> tuple[str, ...]:
    """Say in the log, and for the page, where the network's error lies and what stations cannot tell, a line each."""
    found, warnings = sentences(tables.variance_parts, tables.worst_dates, evaluation.network), doubts(cube)
    for line in found:
        log.info("%s", line)
    for line in warnings:
        log.warning("%s", line)
    return (*found, *warnings)


def log_sums(run: TrackedRun, found: SplitEvaluation, days: npt.NDArray[np.datetime64]) -> None:
    """Log a split's sums as `sums.npz`; arguments as in `save_sums`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        save_sums(found, days, path)
        run.log_file(path)


def final_metrics(evaluation: Evaluation) -> dict[str, float]:
    """What runs are compared by: the trained model's scores on validation and test; all else is in the tables.

    `{split}/n`, `{split}/{distribution}/{score}`, `{split}/natural/r2_low`, `r2_high`, `r2_cap_speckle` (see
    `ScoreRow`), `skill` (over the best baseline), `skill_low` and `skill_high`,
    `{split}/detection/{pod,far,csi}_{threshold}`, and the medians `{split}/temporal_corr` and `{split}/spatial_corr`.
    """
    metrics: dict[str, float] = {}
    for row in evaluation.rows:
        if row.kind == "network" and row.split in COMPARED:
            metrics |= _row_metrics(row)
    for split in (name for name in COMPARED if name in evaluation.splits):
        metrics |= _split_metrics(split, evaluation.splits[split], evaluation)
    if evaluation.intervals is not None:
        metrics |= {f"test/interval/{name}": value for name, value in evaluation.intervals.scores.items()}
    return metrics


def _row_metrics(row: ScoreRow) -> dict[str, float]:
    place, found = f"{row.split}/{row.distribution}", asdict(row.scores)
    n = found.pop("n")
    metrics = {f"{place}/{name}": value for name, value in found.items()}
    if row.distribution == "natural":
        ends = row.intervals.r2
        more = {"r2_low": ends.low, "r2_high": ends.high, "skill": row.skill, "r2_cap_speckle": row.r2_cap_speckle}
        if row.skill_interval is not None:
            more |= {"skill_low": row.skill_interval.low, "skill_high": row.skill_interval.high}
        metrics |= {f"{place}/{name}": value for name, value in more.items()} | {f"{row.split}/n": n}
    elif row.distribution == "two_pass":
        metrics[f"{place}/n"] = n
    return metrics


def _split_metrics(split: str, part: SplitEvaluation, evaluation: Evaluation) -> dict[str, float]:
    metrics = {
        f"{split}/detection/{name}_{found.threshold:g}": getattr(found, name)
        for found in detections(part.wet[evaluation.network], evaluation.config.wet_thresholds)
        for name in ("pod", "far", "csi")
    }
    metrics[f"{split}/temporal_corr"] = part.temporal[evaluation.network].median
    metrics[f"{split}/spatial_corr"] = spatial_correlation(part.sums[evaluation.network]).median
    return metrics
