"""One training with each of several seeds: a run each, and one above them."""

from __future__ import annotations

import dataclasses
import logging
import statistics
import time
from dataclasses import dataclass

from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation
from mlssm.jobs.artifacts import keep_bundle
from mlssm.jobs.continuation import TrainingJob
from mlssm.jobs.outcome import Outcome
from mlssm.jobs.seeds_report import report_seeds
from mlssm.jobs.single import COST, Result, cost, peak_memory_gb, record, train_one
from mlssm.jobs.under import job_under
from mlssm.tracking.run import TrackedRun

log = logging.getLogger(__name__)
SEED = "mlssm.seed"  # tag of a seed's run


@dataclass(frozen=True)
class Member:
    """One trained and scored network.

    Attributes:
        job: What it was told.
        result: The network and its scores.
    """

    job: TrainingJob
    result: Result


def train_seeds(experiment: Experiment, job: TrainingJob, run: TrackedRun | None) -> tuple[Outcome, Evaluation | None]:
    """Train once with each seed, each a run of its own, and keep what they come to, and the best on validation.

    Returns:
        What it came to; and the scores of all seeds' predictions together, None in a process that keeps no run.
    """
    started = time.monotonic()
    seeds = range(job.config.seed, job.config.seed + job.config.seeds)
    members = [_train_seed(experiment, job, seed, run) for seed in seeds]
    results = [member.result for member in members]
    rmse = statistics.fmean(result.rmse for result in results)
    flops = cost(experiment, results[0].trained.network)
    if run is None:
        return Outcome(rmse, flops, ""), None
    scored = [result.evaluation for result in results if result.evaluation is not None]
    together = report_seeds(run, experiment, job.config, [result.trained.network for result in results], scored)
    best = min(members, key=lambda member: member.result.rmse)
    run.log_metrics({"seconds": time.monotonic() - started, "peak_memory_gb": peak_memory_gb(), COST: flops})
    run.set_tags({"mlssm.best_seed": best.job.config.seed})
    keep_bundle(run, experiment, best.job, best.result.trained, best.result.certainty)
    return Outcome(rmse, flops, run.run_id), together


def _train_seed(experiment: Experiment, job: TrainingJob, seed: int, above: TrackedRun | None) -> Member:
    own = {"seed": seed, "seeds": 1}
    told = dataclasses.replace(job, config=job.config.model_copy(update=own), values={**job.values, **own})
    one = job_under(told, f"seed={seed}", (SEED, str(seed)), above)
    parent = None if above is None else above.run_id
    with record(one, experiment.cube, f"seed={seed}", parent, kind="seed", place={SEED: str(seed)}) as run:
        result = train_one(experiment, one, run)
    log.info("seed %d: best val/natural/rmse %.4f", seed, result.rmse)
    return Member(one, result)
