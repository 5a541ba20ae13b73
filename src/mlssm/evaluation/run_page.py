"""The report of a run: what it comes to, its tables, the 2 x 2, and its figures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlssm.config import TrainConfig
from mlssm.evaluation.breakdown import Breakdown
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.experiments.paper import implied_variance
from mlssm.evaluation.page import Block, FigureBlock, Page, Section, TableBlock, Text
from mlssm.evaluation.table import RowDistribution, as_csv
from mlssm.scores.sums import DISTRIBUTIONS, Scores
from mlssm.scores.temporal import LABELS

if TYPE_CHECKING:
    from mlssm.evaluation.run_figures import RunFigure

SHOWN = (
    "model",
    "distribution",
    "n",
    "r2",
    "r2_low",
    "r2_high",
    "r2_cap",
    "r2_cap_speckle",
    "skill",
    "skill_low",
    "skill_high",
    "rmse",
    "mae",
    "corr",
    "bias",
)
READ_SCORES = (
    "Natural: every pixel weighs the same; balanced: every bin of moisture does. r2_low and r2_high are the ends of "
    "the interval that a bootstrap of dates and spatial blocks gives, r2_cap_speckle the R2 of the best prediction "
    "that knows the noise-free backscatter and the fitted references, r2_cap of one that does not know what a track "
    "sees alone either, and skill is 1 - MSE / MSE of the best baseline, its ends those of the same draws for both."
)
READ_SQUARE = (
    "Along a row the model stays and the test set changes. R2 depends on the spread of the labels that are scored "
    "(implied variance = RMSE² / (1 - R2)), RMSE does not: a gain that is only R2's, and only along a row, is no gain."
)
READ_DETECTION = (
    "A pixel is wet from the threshold on. pod: share of wet pixels that are found; far: share of alarms that are "
    "false; csi: hits among all that were wet or alarmed; frequency_bias above 1: too many alarms."
)
READ_CORRELATION = "Quartiles of each pixel's correlation over time, and of each date's correlation over space."
READ_BINS = "n, bias, RMSE and MAE by retrieved moisture, SSM units."
READ_EXTENTS = "Each extent by itself."
READ_DATES = "Each date by itself; within a date only space is left to explain."
READ_VARIANCE = (
    "Variance of the labels, and mean squared error of each model, SSM units squared: offset of the mean, between "
    "dates, between extents on a date, between pixels of an extent, and the rest. What lies between dates is weather."
)
READ_WORST = (
    "The test dates with most of the network's squared error: share of it, pixels, mean label and prediction, and rain "
    "of the antecedent window (mm, mean of the stations). Wet labels after no rain are a front that the gauges missed."
)
READ_PARTS = "Parts of the mean square error, SSM units squared; noise is that of the labels."


def run_page(
    config: TrainConfig,
    evaluation: Evaluation,
    tables: Breakdown,
    days: npt.NDArray[np.datetime64],
    figures: Sequence[RunFigure],
    where: Sequence[str],
    more: Sequence[Section] = (),
) -> Page:
    """The report of a run.

    Args:
        config: What it was told.
        evaluation: Its scores.
        tables: The same taken apart.
        days: Local day of each acquisition in the cube.
        figures: Its figures.
        where: Sentences on where the error lies.
        more: Sections on how sure it is, and why it says so.
    """
    drawn = tuple(FigureBlock(item.title, item.png, item.how_to_read) for item in figures)
    sections = (
        Section("What it comes to", _outcome(evaluation, days)),
        Section("The 2 x 2: training set or test set", (_square(config, evaluation),)),
        Section("Where the error lies", _where(evaluation, tables, where)),
        *more,
        Section("Figures", drawn),
        Section("Tables of the test split", _tables(evaluation, tables)),
    )
    return Page(*run_title(config), sections, tuple(f"{capitalised(line)}." for line in evaluation.verdict.lines))


def capitalised(line: str) -> str:
    """The line as the beginning of a sentence."""
    return f"{line[:1].upper()}{line[1:]}"


def run_title(config: TrainConfig) -> tuple[str, str]:
    """Title and subtitle of a run's report: what was trained where, and how."""
    support = f"{config.retrieval.multilook_m:g} m" if config.retrieval.multilook_m else "single pixels"
    control = "" if config.control == "none" else f", control {config.control}"
    subtitle = (
        f"lag {config.window.lag} days, sampler {config.sampler.name}, loss {config.loss.name}, "
        f"split {config.split.name}, {support}, seed {config.seed}{control}"
    )
    return f"{config.model.title} on {config.datamodule.root.name}", subtitle


def _outcome(evaluation: Evaluation, days: npt.NDArray[np.datetime64]) -> tuple[Block, ...]:
    frame = pd.read_csv(io.StringIO(as_csv(evaluation.rows)), keep_default_na=True)
    dates = "; ".join(f"{split} {_dates(days[list(part.times)])}" for split, part in evaluation.splits.items())
    if evaluation.rows[0].reason:
        dates += f". Intervals: {evaluation.rows[0].reason}"
    columns = [*SHOWN, "reason"]
    tables = tuple(
        TableBlock(f"Scores on {name}", frame.loc[frame["split"] == split, columns].fillna({"reason": ""}), READ_SCORES)
        for split, name in (("test", "the test split"), ("val", "the validation split"))
    )
    return (Text(f"Dates: {dates}. {capitalised(str(evaluation.track))}."), *tables)


def _dates(days: npt.NDArray[np.datetime64]) -> str:
    return f"{len(days)} from {days.min()} to {days.max()}" if len(days) else "none"


def _square(config: TrainConfig, evaluation: Evaluation) -> TableBlock:
    """This training's row of the 2 x 2, and how to fill the other one."""
    own = (evaluation.network, "test")
    found = {row.distribution: row.scores for row in evaluation.rows if (row.model, row.split) == own}
    plain = config.sampler.name == "natural"
    other = "two_pass" if plain else "natural"
    both = f"natural,{other if plain else config.sampler.name}"
    missing = f"not trained in this run; both: python train.py -m sampler={both}"
    rows = [_square_row(config.sampler.name, found, ""), _square_row(other, {}, missing)]
    ordered = rows if plain else rows[::-1]
    frame = pd.DataFrame(ordered, columns=pd.MultiIndex.from_tuples(list(ordered[0])))
    return TableBlock("Training and test", frame, READ_SQUARE)


def _square_row(sampler: str, found: Mapping[RowDistribution, Scores], reason: str) -> dict[tuple[str, str], object]:
    row: dict[tuple[str, str], object] = {("training", ""): f"sampler={sampler}"}
    for name in DISTRIBUTIONS:
        scores = found.get(name)
        r2, rmse = (float("nan"), float("nan")) if scores is None else (scores.r2, scores.rmse)
        row |= {(f"{name} test", "R2"): r2, (f"{name} test", "RMSE"): rmse}
        row[f"{name} test", "implied variance"] = implied_variance(rmse, r2)
    return row | {("reason", ""): reason}


def _where(evaluation: Evaluation, tables: Breakdown, sentences: Sequence[str]) -> tuple[Block, ...]:
    parts = _test(tables.variance_parts, [LABELS, *evaluation.kinds])
    dates = _test(tables.worst_dates, [evaluation.network]).drop(columns="model")
    text = Text("\n\n".join(f"{capitalised(line)}." for line in sentences))
    found = (
        TableBlock("By date, extent and pixel", parts, READ_VARIANCE, 4),
        TableBlock("Worst dates", dates, READ_WORST),
    )
    return (text, *found) if sentences else found


def _tables(evaluation: Evaluation, tables: Breakdown) -> tuple[Block, ...]:
    network = [evaluation.network]
    everyone = list(evaluation.kinds)
    return (
        TableBlock("Detection of wet states", _test(tables.detection, everyone), READ_DETECTION),
        TableBlock("Correlation over time and space", _test(tables.correlation, everyone), READ_CORRELATION),
        TableBlock("What the error is made of", _test(tables.decomposition, everyone), READ_PARTS, 4),
        TableBlock("By moisture", _test(tables.by_bin, network), READ_BINS),
        TableBlock("By extent", _test(tables.by_extent, everyone), READ_EXTENTS),
        TableBlock("By date", _test(tables.by_date, network), READ_DATES),
    )


def _test(frame: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    return frame[(frame["split"] == "test") & frame["model"].isin(models)].drop(columns="split")
