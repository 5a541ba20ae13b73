"""What the run above those of all held-out seasons keeps: the scores of their pixels together, and a line a season."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from mlssm.config import TrainConfig
from mlssm.cube import Cube
from mlssm.evaluation.breakdown import Breakdown
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.figures import seeds as seeds_figure
from mlssm.evaluation.page import Block, FigureBlock, Section, TableBlock, render
from mlssm.evaluation.picture import NamedFigure
from mlssm.evaluation.rows import score_rows
from mlssm.evaluation.run_figures import score_figures
from mlssm.evaluation.run_page import run_page
from mlssm.evaluation.seeds import spread
from mlssm.jobs.report import (
    final_metrics,
    interval_tables,
    keep_verdict,
    log_breakdown,
    log_intervals,
    log_scores,
    log_sums,
    where_the_error_lies,
)
from mlssm.jobs.seeds_report import READ_SEEDS, READ_SPREAD, SCORED, by_seed, mean_metrics, pooled
from mlssm.patches.dates import seasons
from mlssm.retrieval.stack import load_stack
from mlssm.scores.sums import scores
from mlssm.tracking.run import TrackedRun

log = logging.getLogger(__name__)
READ_SEASONS = (
    "Each season by itself, as it was predicted from the others; its run has the maps and the model. All other scores "
    "of this page are of the pixels of all seasons together. A date is in the training, and may be in the validation, "
    "of several folds: there its pixels count as often."
)


@dataclass(frozen=True)
class SeasonRun:
    """The run of a season that was held out for test."""

    season: int
    run_id: str


def validation_rmse(evaluations: Sequence[Evaluation]) -> float:
    """The network's RMSE on the validation pixels of all folds, SSM units; the mean over seeds."""
    return fmean(scores(found.splits["val"].sums[found.network]).rmse for found in evaluations)


def report_seasons(
    run: TrackedRun, cube: Cube, config: TrainConfig, folds: Sequence[SeasonRun], evaluations: Sequence[Evaluation]
) -> Evaluation:
    """Log the scores of all held-out pixels, their tables and figures, a row a season, and the spread over seeds.

    Args:
        run: The run above those of the seasons.
        cube: The area.
        config: What it was told.
        folds: The seasons' runs.
        evaluations: One a seed, each of all seasons' pixels.

    Returns:
        The scores of all seasons' pixels and all seeds' predictions together, as logged.
    """
    several = len(evaluations) > 1
    together = pooled(evaluations) if several else evaluations[0]
    tables, table = Breakdown.of(together, cube, config.window), season_table(together, cube, config, folds)
    found = where_the_error_lies(together, tables, cube)
    figures = score_figures(together, tables, load_stack(cube, config.retrieval, config.dask).working.grid.pixel)
    run.log_metrics(mean_metrics(evaluations) if several else final_metrics(together))
    log_scores(run, together)
    keep_verdict(run, together, cube)
    log_breakdown(run, tables)
    log_sums(run, together.splits["test"], cube.local_days)
    run.log_table(table, "seasons")
    for item in figures:
        run.log_image(item.png, f"figures/{item.stem}.png")
    blocks: tuple[Block, ...] = (TableBlock("Season by season", table, READ_SEASONS),)
    if several:
        blocks += _seeds(run, config, together.network, evaluations)
    intervals = interval_tables(together, cube, config)
    page = run_page(config, together, tables, cube.local_days, figures, found, log_intervals(run, intervals))
    first, *rest = page.sections
    run.log_text(render(replace(page, sections=(first, Section("Held out in turn", blocks), *rest))), "report.html")
    _tell(table)
    return together


def season_table(evaluation: Evaluation, cube: Cube, config: TrainConfig, folds: Sequence[SeasonRun]) -> pd.DataFrame:
    """The network's natural scores on the test dates of each season, a row a season."""
    test = evaluation.splits["test"]
    of_date = seasons(cube.local_days[list(test.times)], config.split.start_month)
    rows = []
    for fold in folds:
        place = np.flatnonzero(of_date == fold.season)
        sums = {model: found[place] for model, found in test.sums.items()}
        rows.append({"season": fold.season, "dates": len(place), **_row(evaluation, sums), "run_id": fold.run_id})
    return pd.DataFrame(rows)


def _row(evaluation: Evaluation, sums: Mapping[str, Tensor]) -> dict[str, Any]:
    rows = score_rows("test", sums, ("natural",), evaluation.kinds, evaluation.resampling, evaluation.track.value)
    (network,) = (row for row in rows if row.kind == "network")
    ends = {"r2_low": network.intervals.r2.low, "r2_high": network.intervals.r2.high}
    compared = {"skill": network.skill, "best_baseline": network.best, "reason": network.reason}
    return {**asdict(network.scores), **ends, **compared}


def _seeds(run: TrackedRun, config: TrainConfig, network: str, evaluations: Sequence[Evaluation]) -> tuple[Block, ...]:
    found = spread(evaluations)
    figure = NamedFigure("seeds", seeds_figure(by_seed(config, evaluations), "test, natural, all seasons"))
    run.log_table(found, "spread")
    run.log_image(figure.png, f"figures/{figure.stem}.png")
    shown = found[(found["model"] == network) & found["split"].isin(SCORED)]
    return (
        FigureBlock("Spread over seeds", figure.png, READ_SEEDS),
        TableBlock("Mean and spread", shown, READ_SPREAD),
    )


def _tell(table: pd.DataFrame) -> None:
    for row in table.itertuples():
        text = "season %s: R2 %.3f, RMSE %.3f, skill %.3f over %s, %d pixels on %d dates"
        log.info(text, row.season, row.r2, row.rmse, row.skill, row.best_baseline or "no baseline", row.n, row.dates)
