"""One network trained, scored and kept in its run."""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlssm.checkpoint import CHECKPOINTS
from mlssm.cube import Cube
from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.evaluation.evaluation_file import FILE, save_evaluation
from mlssm.jobs.artifacts import keep_bundle, keep_checkpoints, keep_index, keep_reasons
from mlssm.jobs.calibrate import Certainty, calibrate, tally
from mlssm.jobs.continuation import FOLDS, TrainingJob
from mlssm.jobs.fit import fit
from mlssm.jobs.inner import Choice, choose, refit_start
from mlssm.jobs.report import report
from mlssm.tracking.datasets import dataset_inputs
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.opening import open_store
from mlssm.tracking.run import TrackedRun
from mlssm.training.history import History
from mlssm.training.train_network import Trained
from mlssm.workers import open_workers

log = logging.getLogger(__name__)
RMSE, COST = "val/natural/rmse", "model/flops_per_pixel"
CALIBRATED_ON = "mlssm.calibrated_on"  # tag of a run: whose predictions of which dates


@dataclass(frozen=True)
class Result:
    """One trained network.

    Attributes:
        trained: It.
        rmse: The lowest `val/natural/rmse`, SSM units; where training seasons are held out in turn, that of all their
            pixels together, NaN in a process that keeps no run.
        evaluation: Its scores; None in a process that keeps no run, and of a search's trial, which must not see the
            test split.
        certainty: How sure its maps are; None where there is no evaluation.
    """

    trained: Trained
    rmse: float
    evaluation: Evaluation | None
    certainty: Certainty | None = None


def train_one(experiment: Experiment, job: TrainingJob, run: TrackedRun | None) -> Result:
    """Train and score one network, and keep it in its run; without a run there is no evaluation.

    Under `split.inner=seasons` the epochs are chosen first, by training seasons that are held out in turn, and the
    network is then trained for so many on all of them.

    Raises:
        Pruned: The search stopped it.
        SplitError: There are too few training seasons to choose by.
    """
    started = time.monotonic()
    if run is not None:
        keep_index(run, experiment, job.folder)
        if job.config.trial is None:
            keep_reasons(experiment, job.config)
        root = job.config.datamodule.root
        run.log_inputs(dataset_inputs(experiment.cube, experiment.index, experiment.spec, root))
    choice = choose(experiment, job, run) if job.config.split.by_inner_seasons else None
    trained = _train(experiment, job, run, choice)
    rmse = trained.history.best if choice is None else choice.rmse
    if run is None:
        return Result(trained, rmse, None)
    run.log_metrics({COST: cost(experiment, trained.network), "model/parameters": _size(trained.network)})
    if job.config.trial is not None:
        run.log_metrics({RMSE: rmse})
        if job.pooled:
            _keep_scores(run, job, _validation(experiment, trained, job, choice))
        return Result(trained, rmse, None)
    with open_workers(job.config.dask):  # once for all that is predicted
        evaluation = _evaluate(experiment, trained, job, choice)
        certainty = calibrate(experiment, trained.network, job.config, None if choice is None else choice.maps)
        found = tally(experiment, trained.network, job.config, certainty.calibration)
    evaluation = replace(evaluation, intervals=found)
    run.set_tags({CALIBRATED_ON: certainty.source})
    courses = None if choice is None else choice.courses
    report(run, experiment, job.config, trained.network, evaluation, trained.history.points, courses)
    run.log_metrics({"seconds": time.monotonic() - started, "peak_memory_gb": peak_memory_gb()})
    result = Result(trained, rmse, evaluation, certainty)
    _keep(run, experiment, job, result, choice)
    return result


@contextmanager
def record(
    job: TrainingJob, cube: Cube, name: str, parent: str | None, *, kind: str = "training", place: Mapping[str, str]
) -> Iterator[TrackedRun | None]:
    """The run, which the first process of a distributed training keeps; the others have none.

    Args:
        job: What is trained.
        cube: What it is trained on.
        name: The run's.
        parent: The run that it belongs to.
        kind: training, or seed or season for one of several.
        place: Tags that name its place among the others under its parent.
    """
    if rank() > 0:
        yield None
        return
    tags = {**job.tags, **place}
    store = open_store(job.config.tracking)
    digests = {"cube": cube.manifest.digest}
    with tracked_run(
        store, name, job.values, digests, parent, kind, folder=job.folder, resume=job.resumed, tags=tags
    ) as run:
        run.log_text(json.dumps(cube.manifest.files, indent=1), "data_digests.json")
        yield run


def cost(experiment: Experiment, network: nn.Module) -> float:
    """Floating-point operations of a network for a pixel of one map."""
    first = experiment.datasets["train"][0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration on top of oneDNN")
        # oneDNN's LSTM is a single operation that the counter does not know; without it there are matrix products
        with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter, torch.no_grad():
            network(first.dynamic[None], first.static[None])
    return float(counter.get_total_flops()) / first.valid.numel()


def peak_memory_gb() -> float:
    """Most memory that this process has held, GB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e9 if sys.platform == "darwin" else 1e6)  # macOS counts bytes, Linux kilobytes


def rank() -> int:
    """Number of this process among those of a distributed training."""
    return int(getattr(rank_zero_only, "rank", 0))


def _train(experiment: Experiment, job: TrainingJob, run: TrackedRun | None, choice: Choice | None) -> Trained:
    """With what is chosen already, a search needs no refit."""
    if choice is None:
        return fit(experiment, job, run)
    if job.config.trial is not None:
        return Trained(choice.network, History())
    log.info("refit on all training seasons: %d epochs", choice.epochs)
    refit = replace(job, start=refit_start(job, choice.epochs))
    return fit(experiment, refit, run, epochs=choice.epochs)


def _evaluate(experiment: Experiment, trained: Trained, job: TrainingJob, choice: Choice | None) -> Evaluation:
    if choice is None:
        return evaluate(experiment, trained.network, job.config, poolable=job.pooled)
    found = evaluate(experiment, trained.network, job.config, ("train", "test"), poolable=job.pooled)
    assert choice.val is not None
    return replace(found, splits={"train": found.splits["train"], **choice.val.splits, "test": found.splits["test"]})


def _validation(experiment: Experiment, trained: Trained, job: TrainingJob, choice: Choice | None) -> Evaluation:
    """The network's validation scores alone: a search must see no others."""
    if choice is None:
        return evaluate(experiment, trained.network, job.config, ("val",), poolable=True, bare=True)
    assert choice.val is not None
    return choice.val


def _keep_scores(run: TrackedRun, job: TrainingJob, evaluation: Evaluation) -> None:
    """Whole, for the run above to pool."""
    save_evaluation(evaluation, job.folder / FILE)
    run.log_file(job.folder / FILE)


def _keep(run: TrackedRun, experiment: Experiment, job: TrainingJob, result: Result, choice: Choice | None) -> None:
    """What others go on from; the model last of all."""
    assert result.evaluation is not None
    if job.pooled:
        _keep_scores(run, job, result.evaluation)
    keep_checkpoints(run, job.folder / CHECKPOINTS)
    for fold in () if choice is None else choice.folds:
        keep_checkpoints(run, fold.folder / CHECKPOINTS, f"{FOLDS}/{fold.folder.name}/{CHECKPOINTS}")
    keep_bundle(run, experiment, job, result.trained, result.certainty)


def _size(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())
