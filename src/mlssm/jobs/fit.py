"""One network fitted by as many processes as the trainer is told."""

from __future__ import annotations

from hydra.utils import instantiate

from mlssm.checkpoint import CHECKPOINTS
from mlssm.data.assemble import Experiment
from mlssm.distributed.group import process_group
from mlssm.distributed.rank_job import RankTask
from mlssm.jobs.continuation import TrainingJob
from mlssm.tracking.lightning import lightning_logger
from mlssm.tracking.run import TrackedRun
from mlssm.training.train_network import Trained, train_network


def fit(
    experiment: Experiment, job: TrainingJob, run: TrackedRun | None, *, epochs: int | None = None, place: str = ""
) -> Trained:
    """Train as the job says, in a process group of its own.

    Args:
        experiment: Labels, features and patches.
        job: What is trained.
        run: Where the course goes; None for nowhere.
        epochs: Exactly so many, without validation; None: early stopping.
        place: Begins the names of the course's metrics, where the run is not this training's alone.

    Raises:
        Pruned: The search stopped it.
    """
    logger = None if run is None else lightning_logger(run, place)
    watch = instantiate(dict(job.config.trial)) if job.config.trial is not None and job.watched else None
    task = RankTask(job.values, job.folder / CHECKPOINTS, job.start.checkpoint, epochs)
    with process_group(job.config, task) as checkpoints:
        return train_network(experiment, job.config, checkpoints, logger, job.start, watch, epochs)
