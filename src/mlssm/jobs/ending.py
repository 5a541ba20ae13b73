"""What a training prints at its end: what it comes to first, then the scores, and where to go on."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
from hydra.core.hydra_config import HydraConfig
from rich.console import Console

from mlssm.config import TrainConfig
from mlssm.cube import Cube
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.run_figures import median_date
from mlssm.evaluation.table import LEGEND, as_rich
from mlssm.jobs.each_season import SEASON
from mlssm.patches.dates import seasons
from mlssm.secrets import without_password
from mlssm.tracking.find import children
from mlssm.tracking.run import TrackedRun

STORE_KEYS = ("tracking.folder=", "tracking.uri=")  # by which predict finds the same runs


def print_ending(evaluation: Evaluation, run: TrackedRun, cube: Cube, config: TrainConfig) -> None:
    """Print the verdict, the short table, the report's place, the run's page, and how to map a day.

    Args:
        evaluation: The scores.
        run: The run that has them.
        cube: The area.
        config: What the training was told.
    """
    console = Console(soft_wrap=False, width=max(100, Console().width))
    found = evaluation.verdict
    for line in (found.sentence, *(f"Beware: {caution}" for caution in found.cautions)):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(as_rich(evaluation.rows))
    for line in (LEGEND, *_places(run), *map_command(evaluation, run, cube, config)):
        console.print(line, highlight=False, soft_wrap=True)


def _places(run: TrackedRun) -> tuple[str, ...]:
    report = run.local_artifact("report.html")
    report_line = () if report is None else (f"Report: {report}",)
    return (*report_line, f"MLflow run {run.run_id}", f"See it with: {run.ui_command}", f"Its page: {run.page}")


def map_command(evaluation: Evaluation, run: TrackedRun, cube: Cube, config: TrainConfig) -> tuple[str, ...]:
    """The command that maps the test date that the report shows; none where no test date has a label.

    Of a training that tests on every season in turn it names the run of that date's season, which has a model.
    """
    try:
        day = cube.local_days[median_date(evaluation)]
    except ValueError:
        return ()
    run_id = _season_run(run, day, config.split.start_month) if config.split.each_season else run.run_id
    if not HydraConfig.initialized():  # by mlssm.train, which returns the run
        return (f"Map a day: mlssm.load_run({run_id!r}).predict_map({str(day)!r})",)
    installed = Path(sys.argv[0]).name.startswith("mlssm")
    program = ("mlssm-predict",) if installed else ("python", "predict.py")
    store = [without_password(item) for item in HydraConfig.get().overrides.task if item.startswith(STORE_KEYS)]
    return (f"Map a day: {shlex.join([*program, f'run={run_id}', f'dates={day}', *store])}",)


def _season_run(run: TrackedRun, day: np.datetime64, start_month: int) -> str:
    (season,) = seasons(np.array([day]), start_month).tolist()
    return next(each.run_id for each in children(run.store, run.run_id) if each.tags.get(SEASON) == str(season))
