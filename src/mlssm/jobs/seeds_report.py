"""What several trainings come to that differ in their seed alone: one run above theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mlssm.config import TrainConfig
from mlssm.crew import open_crew
from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation, SplitEvaluation, regular_grid
from mlssm.evaluation.figures import seeds as seeds_figure
from mlssm.evaluation.page import FigureBlock, Page, Section, TableBlock, Text, render
from mlssm.evaluation.picture import NamedFigure
from mlssm.evaluation.run_page import capitalised, run_title
from mlssm.evaluation.seeds import seed_split, spread
from mlssm.jobs.report import final_metrics, keep_verdict, log_scores, log_sums
from mlssm.tracking.run import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Mapping

SCORED = ("val", "test")
SPREAD = ("r2", "rmse", "mae", "corr", "bias", "skill")
READ_SPREAD = "Mean and standard deviation over the seeds. A difference between two settings below the latter is luck."
READ_SPLIT = (
    "What one training's expected mean square error is made of: what all seeds get wrong together (bias_squared), how "
    "far they lie apart (variance), and the noise of the labels. Averaging the networks' maps takes the variance alone "
    "away."
)
READ_SEEDS = "Each point is a training; line and band are mean and standard deviation."


def report_seeds(
    run: TrackedRun,
    experiment: Experiment,
    config: TrainConfig,
    networks: Sequence[nn.Module],
    evaluations: Sequence[Evaluation],
) -> Evaluation:
    """Log the scores of all seeds' predictions taken together, their spread, and the split of the error.

    Args:
        run: The run above those of the seeds.
        experiment: What they were trained on.
        config: What they were told; its seed is the first one.
        networks: One a seed.
        evaluations: Of the networks, in the same order.

    Returns:
        The scores of all seeds' predictions taken together, as logged.
    """
    together, spreads = pooled(evaluations), spread(evaluations)
    parts = _seed_splits(experiment, config, networks)
    figure = NamedFigure("seeds", seeds_figure(by_seed(config, evaluations), "test, natural"))
    run.log_metrics(mean_metrics(evaluations))
    log_scores(run, together)
    keep_verdict(run, together, experiment.cube)
    log_sums(run, together.splits["test"], experiment.cube.local_days)
    run.log_table(spreads, "spread")
    run.log_table(parts, "seed_split")
    run.log_image(figure.png, f"figures/{figure.stem}.png")
    run.log_text(render(_page(config, together, spreads, parts, figure)), "report.html")
    return together


def pooled(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation of all seeds' predictions taken together, each pixel counted once.

    R2 is then the mean over seeds, and RMSE the root of the mean of their squares. Counts, maps and quartiles are those
    of the first.
    """
    splits = {name: _pooled([found.splits[name] for found in evaluations]) for name in evaluations[0].splits}
    return replace(evaluations[0], splits=splits)


def mean_metrics(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """Each metric's mean over the seeds under its own name, and of natural scores the deviation (n - 1) as `_sd`."""
    found = [final_metrics(evaluation) for evaluation in evaluations]
    means = {name: fmean(metrics[name] for metrics in found) for name in found[0]}
    spread_of = [name for name in means if name.split("/")[1:2] == ["natural"] and name.rpartition("/")[2] in SPREAD]
    return means | {f"{name}_sd": float(np.std([metrics[name] for metrics in found], ddof=1)) for name in spread_of}


def _pooled(parts: Sequence[SplitEvaluation]) -> SplitEvaluation:
    sums = _mean([part.sums for part in parts])
    return replace(parts[0], sums=sums, two_pass=_mean([part.two_pass for part in parts]))


def _mean(sums: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {model: torch.stack([found[model] for found in sums]).mean(0) for model in sums[0]}


def _seed_splits(experiment: Experiment, config: TrainConfig, networks: Sequence[nn.Module]) -> pd.DataFrame:
    data = {split: regular_grid(experiment.datasets[split]) for split in SCORED}
    told = config.optimiser.batch_size, config.control
    # where training seasons are held out in turn, each fold has networks of its own, and there is no validation split
    scored = {split: dataset for split, dataset in data.items() if len(dataset)}
    with open_crew(config.dask, experiment.cube.path) as crew:
        found = {split: seed_split(networks, dataset, *told, crew) for split, dataset in scored.items()}
    names = ("networks", "mse", "bias_squared", "variance", "noise", "reason")
    rows = [{"split": split, **{name: getattr(part, name) for name in names}} for split, part in found.items()]
    return pd.DataFrame(rows)


def by_seed(config: TrainConfig, evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """The network's natural scores on the test split, a row a seed."""
    wanted = (evaluations[0].network, "test", "natural")
    rows = [next(row for row in found.rows if row.labels == wanted) for found in evaluations]
    return pd.DataFrame({"seed": config.seed + place, **asdict(row.scores)} for place, row in enumerate(rows))


def _page(
    config: TrainConfig, together: Evaluation, spreads: pd.DataFrame, parts: pd.DataFrame, figure: NamedFigure
) -> Page:
    title, subtitle = run_title(config)
    shown = spreads[(spreads["model"] == together.network) & spreads["split"].isin(SCORED)]
    lead = tuple(f"{capitalised(line)}." for line in together.verdict.lines)
    blocks = (
        Text(f"All {config.seeds} seeds taken together."),
        FigureBlock("Spread over seeds", figure.png, READ_SEEDS),
        TableBlock("Mean and spread", shown, READ_SPREAD),
        TableBlock("Bias and variance over seeds", parts, READ_SPLIT, 4),
    )
    return Page(title, f"{subtitle} and the next {config.seeds - 1}", (Section("Several seeds", blocks),), lead)
