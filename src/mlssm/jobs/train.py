"""From configuration to tracked run: what `train.py` does."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from mlssm.checkpoint import CHECKPOINTS, LAST
from mlssm.config import TrainConfig
from mlssm.cube import Cube
from mlssm.data.assemble import assemble
from mlssm.distributed.group import check_processes
from mlssm.errors import Pruned
from mlssm.evaluation.evaluate import Evaluation
from mlssm.evaluation.why.gradients import check_captum
from mlssm.jobs.area import open_area
from mlssm.jobs.continuation import FOLDS, TrainingJob, find_job
from mlssm.jobs.each_season import train_each_season
from mlssm.jobs.ending import print_ending
from mlssm.jobs.labels import report_labels
from mlssm.jobs.outcome import Outcome
from mlssm.jobs.seeds import train_seeds
from mlssm.jobs.single import COST, RMSE, cost, rank, record, train_one
from mlssm.jobs.sweep import parent_run_id
from mlssm.jobs.tracks import compare_tracks
from mlssm.tracking.find import Run
from mlssm.tracking.names import job_name
from mlssm.tracking.opening import open_store
from mlssm.tracking.parent import JOB, SUPERSEDED, Earlier, earlier_run, job_key
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.tags import FOLDER

log = logging.getLogger(__name__)


def train(
    config: TrainConfig, values: Mapping[str, Any], folder: Path | None = None, overrides: Sequence[str] | None = None
) -> Outcome:
    """Prepare the area, train, score, and record it all as one run.

    With `seeds` above 1 it trains as many times, each as a run under the one that shows their mean and spread; with
    `split=leave_one_season_out` a season at a time, each as a run under the one that shows all held-out pixels. With
    `resume`, `fork` or `warm_start` it takes up another run, see `mlssm.jobs.continuation`. A search's trial is
    scored on validation alone.

    Args:
        config: The typed configuration.
        values: The same as plain containers, for the record.
        folder: Of the job's files; None: the one that Hydra made for the command.
        overrides: What was told beside the defaults; None: what the command line says.

    Returns:
        What it came to.

    Raises:
        MlssmError: The input or the configuration does not allow it; the message says what to do.
    """
    if rank() > 0:
        logging.getLogger("mlssm").setLevel(logging.ERROR)  # the first process says it all
    store = open_store(config.tracking)
    parent = parent_run_id()
    earlier = earlier_run(store, parent) if parent is not None and config.sweep.resume else None
    if earlier is not None and earlier.finished:
        log.info("done already: run %s, %s", earlier.run.run_id, earlier.run.name)
        return Outcome(earlier.run.metrics[RMSE], earlier.run.metrics[COST], earlier.run.run_id)
    folder = folder or Path(HydraConfig.get().runtime.output_dir)
    if config.task == "tracks":
        return compare_tracks(store, config, values, folder, parent)
    if config.task == "labels":
        return report_labels(store, config, values, folder, parent)
    told = list(HydraConfig.get().overrides.task) if overrides is None else overrides
    job = find_job(store, _taken_up(config, earlier), values, folder, told)
    if job.config.evaluation.why.gradients:
        check_captum()
    check_processes(job.config)
    config = job.config
    cube = open_area(config.datamodule, config.on_bad_file, config.weather, config.retrieval, config.dask)
    run: TrackedRun | None = None
    try:
        with record(job, cube, job_name(job.config), parent, place=_place(parent)) as run:
            if earlier is not None and run is not None and run.run_id != earlier.run.run_id:
                store.client.set_tag(earlier.run.run_id, SUPERSEDED, run.run_id)
            return _train(cube, job, run)
    except Pruned as pruned:
        log.info("%s", pruned)
        return Outcome(float("nan"), float("nan"), "" if run is None else run.run_id, pruned.epoch)


def _train(cube: Cube, job: TrainingJob, run: TrackedRun | None) -> Outcome:
    outcome, evaluation = _outcome(cube, job, run)
    if run is not None and evaluation is not None:
        print_ending(evaluation, run, cube, job.config)
    return outcome


def _outcome(cube: Cube, job: TrainingJob, run: TrackedRun | None) -> tuple[Outcome, Evaluation | None]:
    if job.config.split.each_season:
        return train_each_season(cube, job, run)
    experiment = assemble(cube, job.config)
    if job.config.seeds > 1:
        return train_seeds(experiment, job, run)
    result = train_one(experiment, job, run)
    flops = cost(experiment, result.trained.network)
    return Outcome(result.rmse, flops, "" if run is None else run.run_id), result.evaluation


def _taken_up(config: TrainConfig, earlier: Earlier | None) -> TrainConfig:
    """The configuration with the job's earlier run to go on in, where that has got so far."""
    several = config.seeds > 1 or config.split.each_season
    if earlier is not None and (several or _has_checkpoint(earlier.run)):
        return config.model_copy(update={"resume": earlier.run.run_id})
    return config


def _place(parent: str | None) -> dict[str, str]:
    return {} if parent is None else {JOB: job_key()}


def _has_checkpoint(run: Run) -> bool:
    folder = run.tags.get(FOLDER)
    return folder is not None and ((Path(folder) / CHECKPOINTS / LAST).is_file() or (Path(folder) / FOLDS).is_dir())
