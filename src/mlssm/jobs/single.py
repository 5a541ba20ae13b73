"""One network trained, scored and kept in its run."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from hydra.utils import instantiate
from pytorch_lightning.utilities import rank_zero_only
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlssm.checkpoint import CHECKPOINTS
from mlssm.cube import Cube
from mlssm.data.assemble import Experiment
from mlssm.distributed.group import process_group
from mlssm.distributed.rank_job import RankTask
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.jobs.artifacts import keep_bundle, keep_checkpoints, keep_index
from mlssm.jobs.continuation import TrainingJob
from mlssm.jobs.report import report
from mlssm.tracking.datasets import dataset_inputs
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.lightning import lightning_logger
from mlssm.tracking.opening import open_store
from mlssm.tracking.run import TrackedRun
from mlssm.training.train_network import Trained, train_network

RMSE, COST = "val/natural/rmse", "model/flops_per_pixel"


def train_one(experiment: Experiment, job: TrainingJob, run: TrackedRun | None) -> tuple[Trained, Evaluation | None]:
    """Train and score one network, and keep it in its run; without a run there is no evaluation.

    Raises:
        Pruned: The search stopped it.
    """
    started = time.monotonic()
    if run is not None:
        keep_index(run, experiment, job.folder)
        root = job.config.datamodule.root
        run.log_inputs(dataset_inputs(experiment.cube, experiment.index, experiment.spec, root))
    trained = _train(experiment, job, run)
    if run is None:
        return trained, None
    run.log_metrics({COST: cost(experiment, trained.network), "model/parameters": _size(trained.network)})
    if job.config.trial is not None:  # a search must not see the test split
        run.log_metrics({RMSE: trained.history.best})
        return trained, None
    evaluation = evaluate(experiment, trained.network, job.config)
    report(run, experiment, job.config, trained.network, evaluation, trained.history.points)
    run.log_metrics({"seconds": time.monotonic() - started, "peak_memory_gb": peak_memory_gb()})
    keep_checkpoints(run, job.folder / CHECKPOINTS)
    keep_bundle(run, experiment, job, trained)
    return trained, evaluation


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
        kind: training, or seed for one of several.
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


def _train(experiment: Experiment, job: TrainingJob, run: TrackedRun | None) -> Trained:
    logger = None if run is None else lightning_logger(run)
    watch = None if job.config.trial is None else instantiate(dict(job.config.trial))
    task = RankTask(job.values, job.folder / CHECKPOINTS, job.start.checkpoint)
    with process_group(job.config, task) as checkpoints:
        return train_network(experiment, job.config, checkpoints, logger, job.start, watch)


def _size(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())
