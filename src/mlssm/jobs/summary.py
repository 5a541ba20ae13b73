"""What a sweep leaves in its parent run beside the plain comparison, read from what its children kept."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlssm.config.retrieval import channel_title
from mlssm.errors import RunError
from mlssm.markdown import markdown
from mlssm.tracking.find import Run, download
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.tags import BUNDLE, SEASONS

if TYPE_CHECKING:
    import pandas as pd

    from mlssm.evaluation.experiments.artifacts import Artifacts
    from mlssm.evaluation.experiments.differences import Scored
    from mlssm.evaluation.experiments.runs import Children

log = logging.getLogger(__name__)
SCORES = "scores.csv"
LAG, TRIAL = "model.lag", "trial.number"
MOST_SERIES = 8  # lines that can be told apart in one figure


def summarise(comparison: str, parent: TrackedRun, runs: Sequence[Run]) -> str:
    """Write a sweep's summary to its parent run, and return what its description is to say of it, Markdown.

    Args:
        comparison: `paper_table`, `leakage`, `benchmark` and `ablation`: tables, figures and page of that experiment;
            `children`: the scores against the lag where it was varied, and whether the runs differ from the one that is
            best on validation.
        parent: The sweep's run.
        runs: Its children, those that failed too.

    Raises:
        RunError: What a child kept cannot be read.
    """
    if not runs:
        return ""
    if comparison == "children":
        lags = _log_lags(parent, runs)
        _log_differences(parent, runs)
        return lags
    if comparison == "benchmark":
        return _log_artifacts(parent, _benchmark(parent, runs))
    if comparison == "ablation":
        return _log_artifacts(parent, _ablation(parent, runs))
    return _log_artifacts(parent, _artifacts(comparison, _children(parent, runs), runs))


def _artifacts(comparison: str, children: Children, runs: Sequence[Run]) -> Artifacts:
    from mlssm.evaluation.experiments.leakage import leakage
    from mlssm.evaluation.experiments.paper_table import paper_table

    if comparison == "leakage":
        return leakage(children)
    held_out = [run.params["split.name"] for run in runs if run.params.get("protocol") == "held_out"]
    return paper_table(children, held_out[0] if held_out else "by_season")


def _benchmark(parent: TrackedRun, runs: Sequence[Run]) -> Artifacts:
    from mlssm.evaluation.experiments.benchmark import BenchmarkRun, benchmark

    finished = [run for run in runs if run.status == "FINISHED"]
    failed = [f"run {run.name} is {run.status}, see its error.txt" for run in runs if run not in finished]
    if not finished:
        raise RunError(f"no model of the benchmark has scores: {'; '.join(failed)}")
    found = []
    for run in finished:
        seeds = int(run.params["seeds"])
        found.append(
            BenchmarkRun(
                scale_m=float(run.params["retrieval.multilook_m"]),
                mask_db=float(run.params["retrieval.min_sensitivity_db"]),
                channel=_channel(run),
                nowcast=run.params["features.previous"] == "nowcast",
                seeds=seeds,
                parameters=run.metrics.get("model/parameters", float("nan")),
                flops_per_pixel=run.metrics.get("model/flops_per_pixel", float("nan")),
                seconds=run.metrics.get("seconds", float("nan")),
                scores=_scores(parent, run),
                spread=_table(parent, run, "spread.csv") if seeds > 1 else None,
            )
        )
    return benchmark(found, failed)


def _channel(run: Run) -> str:
    """What its labels are made of: VV, or 0.7 VV + 0.3 VH."""
    alone = run.params.get("retrieval.polarisation", "null")
    if alone != "null":
        return alone
    prefix = "retrieval.channel."
    weights = {key.removeprefix(prefix): float(v) for key, v in run.params.items() if key.startswith(prefix)}
    return channel_title({name: weight for name, weight in weights.items() if weight > 0})


def _log_artifacts(parent: TrackedRun, artifacts: Artifacts) -> str:
    from mlssm.evaluation.page import render

    for table in artifacts.tables:
        parent.log_table(table.frame, table.stem)
    for figure in artifacts.figures:
        parent.log_image(figure.png, f"figures/{figure.stem}.png")
    parent.log_text(render(artifacts.page), "report.html")
    parent.log_text(artifacts.summary + "\n", "summary.txt")
    for paragraph in artifacts.summary.split("\n\n"):
        log.info("%s", paragraph)
    return f"[report.html]({parent.artifact_link('report.html')})\n\n{artifacts.summary}"


def _children(parent: TrackedRun, runs: Sequence[Run]) -> Children:
    from mlssm.evaluation.experiments.runs import Children, FailedRun, TrainedRun

    trained, failed = [], []
    for run in runs:
        setting = int(run.params["model.lag"]), run.params["sampler.name"], run.params["split.name"]
        if run.status == "FINISHED":
            trained.append(TrainedRun(*setting, _scores(parent, run)))
        else:
            failed.append(FailedRun(*setting, f"run {run.name} is {run.status}, see its error.txt"))
    return Children(tuple(trained), tuple(failed))


def _scores(parent: TrackedRun, run: Run) -> pd.DataFrame:
    return _table(parent, run, SCORES)


def _table(parent: TrackedRun, run: Run, name: str) -> pd.DataFrame:
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        return pd.read_csv(download(parent.store, run.run_id, name, Path(folder)))


def _log_lags(parent: TrackedRun, runs: Sequence[Run]) -> str:
    """The scores by lag as table and figure, where it was varied; and the table in few columns, Markdown."""
    from mlssm.tracking.comparison import changed_parameters

    changed, whole = changed_parameters(runs), _whole(runs)
    if LAG not in changed or not whole or any(TRIAL in run.params for run in runs):  # a search's figures are its own
        return ""
    from mlssm.evaluation.experiments.lags import LagRun, lag_summary, lag_table
    from mlssm.evaluation.figures import scores_by_lag

    others = [key for key in changed if key not in (LAG, "seed")]
    series = [" ".join(run.params[key] for key in others if key in run.params) for run in whole]
    found = [
        LagRun(float(run.params[LAG]), name, _scores(parent, run)) for run, name in zip(whole, series, strict=True)
    ]
    table = lag_table(found)
    parent.log_table(table, "lags")
    if len(set(series)) > MOST_SERIES:
        log.info("figures/lags.png is not drawn: %d combinations beside the lag", len(set(series)))
    else:
        parent.log_figure(scores_by_lag(table, "Scores by antecedent window"), "figures/lags.png")
    return f"Test scores by lag (days):\n\n{markdown(lag_summary(table))}"


def _whole(runs: Sequence[Run]) -> list[Run]:
    """Those that have everything: a model, or all their seasons."""
    return [run for run in runs if BUNDLE in run.tags or SEASONS in run.tags]


def _ablation(parent: TrackedRun, runs: Sequence[Run]) -> Artifacts:
    from mlssm.evaluation.experiments.ablation import Ablated, ablation

    whole = _whole(runs)
    failed = [f"Run {run.name} is {run.status}, see its error.txt." for run in runs if run not in whole]
    left_out = [", ".join(json.loads(run.params["features.without"])) for run in whole]
    scored = [_scored(parent, run) for run in whole]
    return ablation([Ablated(*each) for each in zip(left_out, scored, strict=True)], failed)


def _scored(parent: TrackedRun, run: Run) -> Scored:
    """A run's test sums, by which it is compared draw by draw."""
    from mlssm.evaluation.experiments.differences import Scored
    from mlssm.evaluation.sums_file import FILE, load_sums

    level, draws = float(run.params["evaluation.level"]), int(run.params["evaluation.draws"])
    with tempfile.TemporaryDirectory() as folder:
        sums = load_sums(download(parent.store, run.run_id, FILE, Path(folder)))
    return Scored(run.name, run.run_id, run.metrics["val/natural/rmse"], sums, draws, level)


def _log_differences(parent: TrackedRun, runs: Sequence[Run]) -> None:
    finished = _whole(runs)
    if len(finished) < 2:
        return
    from mlssm.evaluation.experiments.differences import differences  # which takes seconds

    table = differences([_scored(parent, run) for run in finished])
    parent.log_table(table, "differences")
    for row in table[table["differs"] != ""].itertuples():
        log.info("%s: %s", row.run, row.differs)
