"""Choosing by training seasons that are held out in turn, so that no season is given away to validation."""

from __future__ import annotations

import dataclasses
import logging
import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from mlssm.checkpoint import CHECKPOINTS, LAST
from mlssm.data.assemble import Experiment, assemble
from mlssm.errors import SplitError
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.evaluation.held_out import predicted_maps
from mlssm.evaluation.pooling import pool_evaluations
from mlssm.jobs.continuation import FOLDS, TrainingJob
from mlssm.jobs.fit import fit
from mlssm.jobs.seasonal import on_seasons
from mlssm.patches.dates import check_inner, seasons
from mlssm.scores.epoch import EpochPoint
from mlssm.scores.sums import scores
from mlssm.tracking.run import TrackedRun
from mlssm.training.start import Start, goes_on_to
from mlssm.training.train_network import Trained
from mlssm.uncertainty.held_out import HeldOutMap

log = logging.getLogger(__name__)
TABLE = "inner_folds"
BEST_EPOCHS = "mlssm.inner_best_epochs"  # tag of the run: of each fold
TOLD = ("mlssm.data.features", "mlssm.data.scaling", "mlssm.retrieval")


@dataclass(frozen=True)
class HeldOut:
    """One training season that was held out.

    Attributes:
        season: Its name.
        best_epoch: The epoch (from 1) that is best on it; 0 for the untrained network.
        rmse: There, SSM units.
        points: The course of the training on the others.
        folder: Of its checkpoints.
    """

    season: int
    best_epoch: int
    rmse: float
    points: Sequence[EpochPoint]
    folder: Path


@dataclass(frozen=True)
class Choice:
    """What held-out training seasons come to.

    Attributes:
        folds: A season each, in order.
        network: Of the last fold: all are of one architecture.
        val: The validation scores of all folds' held-out pixels together, its only split; None in a process that keeps
            no run.
        rmse: The network's there, SSM units; NaN in a process that keeps no run.
        maps: The folds' predictions of what each held out; empty in a process that keeps no run, and for a search.
    """

    folds: tuple[HeldOut, ...]
    network: nn.Module
    val: Evaluation | None
    rmse: float
    maps: tuple[HeldOutMap, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs of the refit: the median of the folds' best ones, the lower of the middle two.

        Folds stop early by themselves, so that there is no epoch up to which all have a course to average; the median
        is not moved by one fold that went on for long. Epochs are kept rather than steps (Goodfellow, Bengio &
        Courville 2016, Deep Learning, 7.8: either may be), so that each patch is seen as often as in the folds.
        """
        return statistics.median_low([fold.best_epoch for fold in self.folds])

    @property
    def courses(self) -> dict[str, Sequence[EpochPoint]]:
        """The course of each fold's training, by its season."""
        return {str(fold.season): fold.points for fold in self.folds}


def choose(experiment: Experiment, job: TrainingJob, run: TrackedRun | None) -> Choice:
    """Train with each training season held out in turn, each going on from where it was broken off.

    Args:
        experiment: Of all training seasons, as the refit is trained on.
        job: The whole training.
        run: Keeps the folds' courses, and a row a fold; None for a process that keeps none.

    Raises:
        Pruned: The search stopped the first fold.
        SplitError: Fewer than two training seasons have patches enough to be held out.
    """
    folds: list[HeldOut] = []
    val: Evaluation | None = None
    network: nn.Module | None = None
    maps: list[HeldOutMap] = []
    for one, held_experiment, season in _experiments(experiment, job):
        trained = fit(held_experiment, one, run, place=f"inner/{season}/")
        folds.append(_held_out(season, trained, one.folder))
        network = trained.network
        if run is not None:
            part = _validate(held_experiment, network, job)
            val = part if val is None else pool_evaluations([val, part])
        if run is not None and job.config.trial is None:
            maps += predicted_maps(held_experiment, network, "val", one.config)
    check_inner(np.array([fold.season for fold in folds]))
    assert network is not None
    rmse = math.nan if val is None else scores(val.splits["val"].sums[val.network]).rmse
    choice = Choice(tuple(folds), network, val, rmse, tuple(maps))
    _tell(choice, run)
    return choice


def refit_start(job: TrainingJob, epochs: int) -> Start:
    """What the refit on all training seasons begins with: its own checkpoint, unless that went past the epochs."""
    last = job.folder / CHECKPOINTS / LAST
    if not last.is_file():
        return Start(weights=job.start.weights)
    if goes_on_to(last, epochs):
        return Start(last)
    log.info("%s was trained for other than the %d epochs that are chosen now: the refit begins anew", last, epochs)
    return Start(weights=job.start.weights)


def _experiments(experiment: Experiment, job: TrainingJob) -> Iterator[tuple[TrainingJob, Experiment, int]]:
    """The folds that can be trained; one that cannot is left out, and told."""
    cube, index = experiment.cube, experiment.index
    times = index.loc[index["split"] == "train", "time"].unique()
    known = np.unique(seasons(cube.local_days[times], job.config.split.start_month))
    check_inner(known, " with patches to train on")
    for number, season in enumerate(known.tolist(), 1):
        log.info("inner fold %d of %d: season %d", number, len(known), season)
        one = _fold(job, season, watched=number == 1)
        try:
            with _told_before():
                held = assemble(cube, one.config)
        except SplitError as error:
            log.warning(
                "inner fold %d of %d: season %d is left out and chooses nothing: %s",
                *(number, len(known), season, error),
            )
            continue
        yield one, held, season


@contextmanager
def _told_before() -> Iterator[None]:
    """What the data lack was said when all training seasons were put together."""
    loggers = [logging.getLogger(name) for name in TOLD]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _fold(job: TrainingJob, season: int, *, watched: bool) -> TrainingJob:
    folder = job.folder / FOLDS / f"season={season}"
    last = folder / CHECKPOINTS / LAST
    start = Start(last) if last.is_file() else Start(weights=job.start.weights)
    one = on_seasons(job, {"val": [season], "inner": "none"})
    return dataclasses.replace(one, folder=folder, start=start, watched=watched and job.watched)


def _held_out(season: int, trained: Trained, folder: Path) -> HeldOut:
    history = trained.history
    return HeldOut(season, history.best_epoch, history.best, tuple(history.points), folder)


def _validate(experiment: Experiment, network: nn.Module, job: TrainingJob) -> Evaluation:
    """A search needs no score but the network's own."""
    bare = job.config.trial is not None
    return evaluate(experiment, network, job.config, ("val",), poolable=True, bare=bare)


def _tell(choice: Choice, run: TrackedRun | None) -> None:
    best = ", ".join(f"{fold.season}: {fold.best_epoch}" for fold in choice.folds)
    log.info("inner folds: best epochs %s; median %d; val/natural/rmse %.4f", best, choice.epochs, choice.rmse)
    if run is None:
        return
    rows = [{"season": fold.season, "best_epoch": fold.best_epoch, "rmse": fold.rmse} for fold in choice.folds]
    run.log_table(pd.DataFrame(rows), TABLE)
    run.set_tags({BEST_EPOCHS: best})
    run.log_metrics({"inner/epochs": choice.epochs})
