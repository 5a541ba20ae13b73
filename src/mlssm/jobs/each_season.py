"""Every season as the test season in turn: a run each, and one above them with the scores of all held-out pixels."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

from mlssm.cube import Cube
from mlssm.data.assemble import assemble, usable_days
from mlssm.distributed.tasks import tasks
from mlssm.errors import ConfigError, SplitError
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.evaluation_file import FILE, load_evaluation
from mlssm.evaluation.pooling import pool_evaluations
from mlssm.jobs.continuation import OWN, TrainingJob
from mlssm.jobs.each_season_report import SeasonRun, report_seasons, validation_rmse
from mlssm.jobs.outcome import Outcome
from mlssm.jobs.seasonal import on_seasons
from mlssm.jobs.seeds import SEED, train_seeds
from mlssm.jobs.single import COST, RMSE, peak_memory_gb, record, train_one
from mlssm.jobs.under import earlier_under, job_under
from mlssm.patches.dates import test_seasons
from mlssm.tracking.find import children, download, find_run
from mlssm.tracking.origin import find_origin
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.tags import SEASONS

log = logging.getLogger(__name__)
SEASON = "mlssm.season"  # tag of a season's run
FEWEST = 2


@dataclass(frozen=True)
class Fold:
    """A season that was held out for test.

    Attributes:
        run: Its run.
        files: Its evaluations, a file a seed.
    """

    run: SeasonRun
    files: tuple[Path, ...]


def train_each_season(cube: Cube, job: TrainingJob, run: TrackedRun | None) -> tuple[Outcome, Evaluation | None]:
    """Train and score with each season held out, and pool the pixels of all of them; what is finished is not run again.

    Args:
        cube: The area.
        job: With `split=leave_one_season_out`.
        run: The run above those of the seasons; None for a process that keeps none.

    Returns:
        What it came to; and the scores of all seasons' pixels, None in a process that keeps no run, and for a search.

    Raises:
        Pruned: The search stopped the first fold.
        SplitError: There are too few seasons.
    """
    if job.resumed is not None and tasks() > 1:
        raise ConfigError(f"resume={job.resumed}: with split=leave_one_season_out, go on without torchrun or srun")
    started = time.monotonic()
    folds = [fold for fold in _folds(cube, job, run) if fold is not None]
    if run is None:
        return Outcome(math.nan, math.nan, ""), None
    if len(folds) < FEWEST:
        raise SplitError(f"split=leave_one_season_out: {len(folds)} season is left to be tested on; see the log above")
    flops = float(find_run(run.store, folds[0].run.run_id).metrics[COST])
    of_seed = zip(*(fold.files for fold in folds), strict=True)
    by_seed = [pool_evaluations([load_evaluation(path) for path in files]) for files in of_seed]
    rmse = validation_rmse(by_seed)
    run.log_metrics({COST: flops, RMSE: rmse})
    together = None
    if job.config.trial is None:
        together = report_seasons(run, cube, job.config, [fold.run for fold in folds], by_seed)
        run.set_tags({SEASONS: " ".join(str(fold.run.season) for fold in folds)})
    run.log_metrics({"seconds": time.monotonic() - started, "peak_memory_gb": peak_memory_gb()})
    return Outcome(rmse, flops, run.run_id), together


def _folds(cube: Cube, job: TrainingJob, run: TrackedRun | None) -> list[Fold | None]:
    seasons = test_seasons(usable_days(cube, job.config), job.config.split)
    found = []
    for number, season in enumerate(seasons, 1):
        log.info("season %d of %d is held out for test: %d", number, len(seasons), season)
        told = on_seasons(job, {"name": "by_season", "test": [season], "val": None})
        told = dataclasses.replace(told, pooled=True, watched=job.watched and number == 1)
        found.append(_finished(told, season, run) or _train(cube, told, season, run))
    return found


def _finished(told: TrainingJob, season: int, above: TrackedRun | None) -> Fold | None:
    """What the resumed run has of a season already, if it was trained to its end as it would be now."""
    if told.resumed is None or above is None:
        return None
    earlier = earlier_under(above, (SEASON, str(season)))
    if earlier is None or earlier.status != "FINISHED":
        return None
    before = find_origin(above.store, earlier.run_id)
    if any(before.config.get(key) != value for key, value in told.values.items() if key not in OWN):
        return None
    log.info("season %d: done already, run %s", season, earlier.run_id)
    return Fold(SeasonRun(season, earlier.run_id), _kept(told, season, earlier.run_id, above))


def _train(cube: Cube, told: TrainingJob, season: int, above: TrackedRun | None) -> Fold | None:
    """Train a season's fold; one that cannot be split so is left out, and told."""
    name, parent = f"season={season}", None if above is None else above.run_id
    one = job_under(told, name, (SEASON, str(season)), above)
    try:
        experiment = assemble(cube, one.config)
    except SplitError as error:
        log.warning("season %d is left out of the test seasons: %s", season, error)
        return None
    with record(one, cube, name, parent, kind="season", place={SEASON: str(season)}) as run:
        if one.config.seeds > 1:
            train_seeds(experiment, one, run)
        else:
            train_one(experiment, one, run)
    if above is None or run is None:
        return None
    return Fold(SeasonRun(season, run.run_id), _kept(told, season, run.run_id, above))


def _kept(told: TrainingJob, season: int, run_id: str, above: TrackedRun) -> tuple[Path, ...]:
    """The evaluations of a season's run, a file a seed: those in its folder, else fetched from the artifacts."""
    folder = told.folder / f"season={season}"
    if told.config.seeds == 1:
        return (_file(folder, run_id, above),)
    seeds = range(told.config.seed, told.config.seed + told.config.seeds)
    runs = {run.tags.get(SEED): run.run_id for run in children(above.store, run_id)}
    return tuple(_file(folder / f"seed={seed}", runs[str(seed)], above) for seed in seeds)


def _file(folder: Path, run_id: str, above: TrackedRun) -> Path:
    return folder / FILE if (folder / FILE).is_file() else download(above.store, run_id, FILE, folder)
