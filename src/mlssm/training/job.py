"""From configuration to tracked run: what `train.py` does."""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.flop_counter import FlopCounterMode

from mlssm.area import open_area
from mlssm.config import TrainConfig
from mlssm.cube import Cube
from mlssm.data.assemble import Experiment, assemble
from mlssm.distributed.group import check_processes, process_group
from mlssm.distributed.orders import Orders
from mlssm.errors import Pruned
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.evaluation.report import report
from mlssm.models.convlstm import ConvLSTM
from mlssm.tracking.datasets import dataset_inputs
from mlssm.tracking.earlier import JOB, SUPERSEDED, Earlier, earlier_run, job_key
from mlssm.tracking.find import Run
from mlssm.tracking.lightning import lightning_logger
from mlssm.tracking.names import job_name
from mlssm.tracking.run import FOLDER, TrackedRun, tracked_run
from mlssm.tracking.store import Store, open_store
from mlssm.tracking.sweep import parent_run_id
from mlssm.training.checkpoint import LAST
from mlssm.training.continuation import CHECKPOINTS, Beginning, begin
from mlssm.training.fit import Trained, fit
from mlssm.training.outcome import Outcome
from mlssm.training.run_artifacts import keep_bundle, keep_checkpoints, keep_index, say

log = logging.getLogger(__name__)
RMSE, COST = "val/natural/rmse", "model/flops_per_pixel"


def train(config: TrainConfig, values: Mapping[str, Any]) -> Outcome:
    """Prepare the area, train, score, and record it all as one run.

    With `seeds` above 1 it trains as many times, each as a run under the one that shows their mean and spread. With
    `resume`, `fork` or `warm_start` it takes up another run, see `mlssm.training.continuation`. A search's trial is
    scored on validation alone.

    Args:
        config: The typed configuration.
        values: The same as plain containers, for the record.

    Returns:
        What it came to.

    Raises:
        MlssmError: The input or the configuration does not allow it; the message says what to do.
    """
    if _rank() > 0:
        logging.getLogger("mlssm").setLevel(logging.ERROR)  # the first process says it all
    store = open_store(config.tracking)
    parent = parent_run_id()
    earlier = earlier_run(store, parent) if parent is not None and config.sweep.resume else None
    if earlier is not None and earlier.finished:
        log.info("done already: run %s, %s", earlier.run.run_id, earlier.run.name)
        return Outcome(earlier.run.metrics[RMSE], earlier.run.metrics[COST], earlier.run.run_id)
    beginning = _begin(store, config, values, earlier)
    check_processes(beginning.config)
    cube = open_area(beginning.config.datamodule, beginning.config.on_bad_file)
    try:
        with record(beginning, cube, job_name(beginning.config), parent, place=_place(parent)) as run:
            if earlier is not None and run is not None and run.run_id != earlier.run.run_id:
                store.client.set_tag(earlier.run.run_id, SUPERSEDED, run.run_id)
            return _train(assemble(cube, beginning.config), beginning, run)
    except Pruned as pruned:
        log.info("%s", pruned)
        return Outcome(float("nan"), float("nan"), "", pruned.epoch)


def train_one(experiment: Experiment, job: Beginning, run: TrackedRun | None) -> tuple[Trained, Evaluation | None]:
    """Train and score one network, and keep it in its run; without a run there is no evaluation.

    Raises:
        Pruned: The search stopped it.
    """
    started = time.monotonic()
    if run is not None:
        keep_index(run, experiment, job.folder)
        root = job.config.datamodule.root
        run.log_inputs(dataset_inputs(experiment.cube, experiment.index, experiment.spec, root))
    trained = _fit(experiment, job, run)
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
    job: Beginning, cube: Cube, name: str, parent: str | None, *, kind: str = "training", place: Mapping[str, str]
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
    if _rank() > 0:
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


def cost(experiment: Experiment, network: ConvLSTM) -> float:
    """Floating-point operations of a network for a pixel of one map."""
    first = experiment.datasets["train"][0]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(first.dynamic[None], first.static[None])
    return float(counter.get_total_flops()) / first.valid.numel()


def output_folder() -> Path:
    """The folder that Hydra made for this job."""
    return Path(HydraConfig.get().runtime.output_dir)


def peak_memory_gb() -> float:
    """Most memory that this process has held, GB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e9 if sys.platform == "darwin" else 1e6)  # macOS counts bytes, Linux kilobytes


def _train(experiment: Experiment, job: Beginning, run: TrackedRun | None) -> Outcome:
    if job.config.seeds > 1:
        from mlssm.training.seeds import train_seeds

        return train_seeds(experiment, job, run)
    trained, evaluation = train_one(experiment, job, run)
    if run is not None and evaluation is not None:
        say(evaluation, run)
    return Outcome(trained.history.best, cost(experiment, trained.network), "" if run is None else run.run_id)


def _fit(experiment: Experiment, job: Beginning, run: TrackedRun | None) -> Trained:
    logger = None if run is None else lightning_logger(run)
    watch = None if job.config.trial is None else instantiate(dict(job.config.trial))
    orders = Orders(job.values, job.folder / CHECKPOINTS, job.start.checkpoint)
    with process_group(job.config, orders) as checkpoints:
        return fit(experiment, job.config, checkpoints, logger, job.start, watch)


def _begin(store: Store, config: TrainConfig, values: Mapping[str, Any], earlier: Earlier | None) -> Beginning:
    if earlier is not None and _has_checkpoint(earlier.run):
        config = config.model_copy(update={"resume": earlier.run.run_id})
    return begin(store, config, values, output_folder(), list(HydraConfig.get().overrides.task))


def _place(parent: str | None) -> dict[str, str]:
    return {} if parent is None else {JOB: job_key()}


def _has_checkpoint(run: Run) -> bool:
    folder = run.tags.get(FOLDER)
    return folder is not None and (Path(folder) / CHECKPOINTS / LAST).is_file()


def _size(network: ConvLSTM) -> int:
    return sum(weights.numel() for weights in network.parameters())


def _rank() -> int:
    """Number of this process among those of a distributed training."""
    return int(getattr(rank_zero_only, "rank", 0))
