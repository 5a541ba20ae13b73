"""One training with each of several seeds: a run each, and one above them."""

from __future__ import annotations

import dataclasses
import logging
import statistics
import time
from dataclasses import dataclass

from mlssm.data.assemble import Experiment
from mlssm.evaluation.evaluate import Evaluation
from mlssm.jobs.artifacts import keep_bundle, print_scores
from mlssm.jobs.continuation import TrainingJob, resume
from mlssm.jobs.outcome import Outcome
from mlssm.jobs.seeds_report import report_seeds
from mlssm.jobs.single import COST, cost, peak_memory_gb, record, train_one
from mlssm.tracking.find import children
from mlssm.tracking.run import TrackedRun
from mlssm.training.train_network import Trained

log = logging.getLogger(__name__)
SEED = "mlssm.seed"  # tag of a seed's run


@dataclass(frozen=True)
class Member:
    """One trained and scored network.

    Attributes:
        job: What it was told.
        trained: The network.
        evaluation: Its scores; None in a process that keeps no run.
    """

    job: TrainingJob
    trained: Trained
    evaluation: Evaluation | None


def train_seeds(experiment: Experiment, job: TrainingJob, run: TrackedRun | None) -> Outcome:
    """Train once with each seed, each a run of its own, and keep what they come to, and the best on validation."""
    started = time.monotonic()
    seeds = range(job.config.seed, job.config.seed + job.config.seeds)
    members = [_train_seed(experiment, job, seed, run) for seed in seeds]
    rmse = statistics.fmean(member.trained.history.best for member in members)
    flops = cost(experiment, members[0].trained.network)
    if run is None:
        return Outcome(rmse, flops, "")
    scored = [member.evaluation for member in members if member.evaluation is not None]
    together = report_seeds(run, experiment, job.config, [member.trained.network for member in members], scored)
    best = min(members, key=lambda member: member.trained.history.best)
    run.log_metrics({"seconds": time.monotonic() - started, "peak_memory_gb": peak_memory_gb(), COST: flops})
    run.set_tags({"mlssm.best_seed": best.job.config.seed})
    keep_bundle(run, experiment, best.job, best.trained)
    print_scores(together, run)
    return Outcome(rmse, flops, run.run_id)


def _train_seed(experiment: Experiment, job: TrainingJob, seed: int, above: TrackedRun | None) -> Member:
    one = _member(job, seed, above)
    parent = None if above is None else above.run_id
    with record(one, experiment.cube, f"seed={seed}", parent, kind="seed", place={SEED: str(seed)}) as run:
        trained, evaluation = train_one(experiment, one, run)
    log.info("seed %d: best val/natural/rmse %.4f", seed, trained.history.best)
    return Member(one, trained, evaluation)


def _member(job: TrainingJob, seed: int, above: TrackedRun | None) -> TrainingJob:
    """The training of one seed, which goes on where an earlier one under the same run was broken off."""
    own = {"seed": seed, "seeds": 1}
    config, values = job.config.model_copy(update=own), {**job.values, **own}
    folder = job.folder / f"seed={seed}"
    earlier = None if job.resumed is None or above is None else _earlier(above, seed)
    if earlier is None or above is None:
        return dataclasses.replace(job, config=config, values=values, folder=folder, resumed=None)
    again = resume(above.store, config.model_copy(update={"resume": earlier}), values, folder, ())
    # what the run above was told counts, not what its seed was told once
    return dataclasses.replace(again, config=config, values=values)


def _earlier(above: TrackedRun, seed: int) -> str | None:
    found = [run for run in children(above.store, above.run_id) if run.tags.get(SEED) == str(seed)]
    return found[-1].run_id if found else None
