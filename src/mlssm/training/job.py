"""From configuration to tracked run: what `train.py` does; with several seeds, a run each and one above them."""

from __future__ import annotations

import logging
import resource
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from mlssm import bundle
from mlssm.area import open_area
from mlssm.config import TrainConfig
from mlssm.cube import Cube
from mlssm.data.assemble import Experiment, assemble
from mlssm.evaluation.evaluate import Evaluation, evaluate
from mlssm.evaluation.report import report
from mlssm.evaluation.seeds_report import report_seeds
from mlssm.evaluation.table import as_rich
from mlssm.models.convlstm import ConvLSTM
from mlssm.patches.index import save_index
from mlssm.tracking.lightning import lightning_logger
from mlssm.tracking.run import TrackedRun, tracked_run
from mlssm.tracking.store import open_store
from mlssm.tracking.sweep import job_name, parent_run_id
from mlssm.training.fit import Trained, check_trainer, fit
from mlssm.training.outcome import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What one training is told.

    Attributes:
        config: The typed configuration.
        values: The same as plain containers, for the record.
        folder: Where checkpoints and the model go before they are kept in the run.
        started: When the command started, on the monotonic clock, seconds.
    """

    config: TrainConfig
    values: Mapping[str, Any]
    folder: Path
    started: float

    def member(self, seed: int) -> Job:
        """The training of one seed among several."""
        own = {"seed": seed, "seeds": 1}
        folder = self.folder / f"seed={seed}"
        return Job(self.config.model_copy(update=own), {**self.values, **own}, folder, time.monotonic())


@dataclass(frozen=True)
class Member:
    """One trained and scored network.

    Attributes:
        job: What it was told.
        trained: The network.
        evaluation: Its scores; None in a process that keeps no run.
    """

    job: Job
    trained: Trained
    evaluation: Evaluation | None


def train(config: TrainConfig, values: Mapping[str, Any]) -> Outcome:
    """Prepare the area, train, score, and record it all as one run.

    With `seeds` above 1 it trains as many times, each as a run under the one that shows their mean and spread.

    Args:
        config: The typed configuration.
        values: The same as plain containers, for the record.

    Returns:
        What it came to.

    Raises:
        MlssmError: The input or the configuration does not allow it; the message says what to do.
    """
    job = Job(config, values, output_folder(), time.monotonic())
    if _rank() > 0:
        logging.getLogger("mlssm").setLevel(logging.ERROR)  # the first process says it all
    check_trainer(config, job.folder / "checkpoints")
    cube = open_area(config.datamodule, config.on_bad_file)
    with _record(job, cube, job_name(config), parent_run_id()) as run:
        experiment = assemble(cube, config)
        if config.seeds > 1:
            members = _train_seeds(experiment, job, run)
        else:
            members = [_train_one(experiment, job, run)]
            if run is not None and members[0].evaluation is not None:
                _say(members[0].evaluation, run)
    rmse = statistics.fmean(member.trained.history.best for member in members)
    return Outcome(rmse, cost(experiment, members[0].trained.network), "" if run is None else run.run_id)


def cost(experiment: Experiment, network: ConvLSTM) -> float:
    """Floating-point operations of a network for a pixel of one map."""
    first = experiment.datasets["train"][0]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(first.dynamic[None], first.static[None])
    return float(counter.get_total_flops()) / first.valid.numel()


def _train_one(experiment: Experiment, job: Job, run: TrackedRun | None) -> Member:
    """Train and score one network, and keep it in its run."""
    logger = None if run is None else lightning_logger(run.store, run.run_id)
    if run is not None:
        _keep_index(run, experiment, job.folder)
    trained = fit(experiment, job.config, job.folder / "checkpoints", logger)
    if run is None:
        return Member(job, trained, None)
    evaluation = evaluate(experiment, trained.network, job.config)
    report(run, experiment, job.config, trained.network, evaluation, trained.history.points)
    run.log_metrics({"seconds": time.monotonic() - job.started, "peak_memory_gb": peak_memory_gb()})
    _keep_bundle(run, experiment, job, trained)
    return Member(job, trained, evaluation)


def _train_seeds(experiment: Experiment, job: Job, run: TrackedRun | None) -> list[Member]:
    """Train once with each seed, each a run of its own, and keep what they come to, and the best on validation."""
    members = []
    parent = None if run is None else run.run_id
    for seed in range(job.config.seed, job.config.seed + job.config.seeds):
        one = job.member(seed)
        with _record(one, experiment.cube, f"seed={seed}", parent, kind="seed") as own:
            members.append(_train_one(experiment, one, own))
            log.info("seed %d: best val/natural/rmse %.4f", seed, members[-1].trained.history.best)
    if run is not None:
        _keep_seeds(run, experiment, job, members)
    return members


def _keep_seeds(run: TrackedRun, experiment: Experiment, job: Job, members: list[Member]) -> None:
    """What the seeds come to, and the model of the one that is best on validation."""
    scored = [member.evaluation for member in members if member.evaluation is not None]
    networks = [member.trained.network for member in members]
    together = report_seeds(run, experiment, job.config, networks, scored)
    best = min(members, key=lambda member: member.trained.history.best)
    run.log_metrics({"seconds": time.monotonic() - job.started, "peak_memory_gb": peak_memory_gb()})
    run.set_tags({"mlssm.best_seed": best.job.config.seed})
    _keep_bundle(run, experiment, best.job, best.trained)
    _say(together, run)


@contextmanager
def _record(job: Job, cube: Cube, name: str, parent: str | None, kind: str = "training") -> Iterator[TrackedRun | None]:
    """The run, which the first process of a distributed training keeps; the others have none."""
    if _rank() > 0:
        yield None
        return
    digests = {"cube": cube.manifest.digest, **cube.manifest.files}
    store = open_store(job.config.tracking)
    with tracked_run(store, name, job.values, digests, parent, kind) as run:
        yield run


def _say(evaluation: Evaluation, run: TrackedRun) -> None:
    console = Console(soft_wrap=False, width=max(100, Console().width))
    console.print(as_rich(evaluation.rows))
    console.print(evaluation.verdict, highlight=False)
    console.print(f"MLflow run {run.run_id}", highlight=False)
    console.print(f"See it with: {run.ui_command}", highlight=False, soft_wrap=True)


def _keep_index(run: TrackedRun, experiment: Experiment, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "patches.parquet"
    save_index(experiment.index, path)
    run.log_file(path)


def _keep_bundle(run: TrackedRun, experiment: Experiment, job: Job, trained: Trained) -> None:
    """Last of all: a run with a model is a run that has everything."""
    folder = job.folder / "model"
    bundle.save(_bundle(experiment, job.values), trained.network.state_dict(), folder)
    run.log_bundle(folder)


def _bundle(experiment: Experiment, values: Mapping[str, Any]) -> bundle.Bundle:
    cube, working = experiment.cube, experiment.stack.working
    same_day = cube.window_ends == cube.local_days
    return bundle.Bundle(
        config=dict(values),
        features=experiment.spec,
        label_digest=experiment.retrieval.digest(),
        cube_digest=cube.manifest.digest,
        crs=cube.grid.crs,
        pixel_m=working.grid.pixel,
        pass_is_evening=bool(same_day.mean() >= 0.5),
    )


def _rank() -> int:
    """Number of this process among those of a distributed training."""
    return int(getattr(rank_zero_only, "rank", 0))


def output_folder() -> Path:
    """The folder that Hydra made for this job."""
    return Path(HydraConfig.get().runtime.output_dir)


def peak_memory_gb() -> float:
    """Most memory that this process has held, GB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e9 if sys.platform == "darwin" else 1e6)  # macOS counts bytes, Linux kilobytes
