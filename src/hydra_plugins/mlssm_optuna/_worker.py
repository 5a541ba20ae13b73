"""One of the processes that share a study: it runs trials until none is left, and the champion."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hydra.plugins.launcher import Launcher

from hydra_plugins.mlssm_optuna._champion import best_trial, claimed, has_champion, save_champion
from hydra_plugins.mlssm_optuna._figures import draw_study, summary_tags, trials_table
from hydra_plugins.mlssm_optuna._outcome import tell_outcome
from hydra_plugins.mlssm_optuna._storage import STORAGE
from hydra_plugins.mlssm_optuna._trials import Trials
from mlssm.errors import MlssmError, RunError
from mlssm.jobs import search as record
from mlssm.jobs.outcome import job_result
from mlssm.secrets import without_password

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

WORKER = "MLSSM_STUDY_WORKER"  # set in a process that another worker started
WATCH = "hydra_plugins.mlssm_optuna._pruning.TrialWatch"
OWN_KEYS = ("seeds", "trial")  # a trial trains one seed; the champion all of them
POLL_S = 0.5  # between looks at trials that run in other workers


def is_worker() -> bool:
    """Whether another worker started this process."""
    return WORKER in os.environ


@dataclass
class Worker:
    """One of the processes that share a study.

    Attributes:
        trials: The study's.
        launcher: Runs the jobs.
        fixed: Overrides that all trials have in common.
        here: Whether the launcher runs jobs in this process, one after the other.
        failed: Trials of this worker that failed.
    """

    trials: Trials
    launcher: Launcher
    fixed: list[str]
    here: bool
    failed: list[int] = field(default_factory=list)

    def work(self, address: str) -> None:
        """Run trials until none is left, start and wait for the workers beside this one, then close the study.

        Raises:
            MlssmError: Trials failed here, or another worker did, or the champion could not be trained.
        """
        others: list[subprocess.Popen[bytes]] = []
        if self.here and not is_worker() and self.trials.budget():
            others = _start_workers(self.trials.settings.n_jobs - 1, address)
        try:
            self._run_all()
            broken = sum(worker.wait() != 0 for worker in others)
        finally:
            _stop(others)
        self._close()
        self._raise(broken)

    def _run_all(self) -> None:
        """Run trials, those of workers that die meanwhile too: the end of the others' is waited for."""
        told = False
        while (batch := self._next_batch()) or (running := self.trials.running()):
            if batch:
                self._run(batch)
                continue
            if not told:
                log.info("waiting for %d trials that run in other workers", len(running))
            told = True
            time.sleep(POLL_S)

    def _next_batch(self) -> list[Trial]:
        wanted = 1 if self.here else self.trials.settings.n_jobs
        found: list[Trial] = []
        try:
            while len(found) < wanted and (trial := self.trials.next()):
                found.append(trial)
        except BaseException:
            self.trials.release(trial.number for trial in found)
            raise
        return found

    def _run(self, batch: list[Trial]) -> None:
        """Run trials; what ends this process while they run gives them back."""
        common = [item for item in self.fixed if item.lstrip("+").partition("=")[0] not in OWN_KEYS]
        jobs = [[*common, *self._overrides(trial)] for trial in batch]
        numbers = [trial.number for trial in batch]
        try:
            with self.trials.heartbeat.beating(self.trials.study, numbers):
                returns = self.launcher.launch(jobs, initial_job_idx=numbers[0])
        except BaseException:
            self.trials.release(numbers)
            raise
        for number, job in zip(numbers, returns, strict=True):
            if not tell_outcome(self.trials, number, job):
                self.failed.append(number)

    def _overrides(self, trial: Trial) -> list[str]:
        quoted = self.trials.study.study_name.replace("\\", "\\\\").replace("'", "\\'")
        watch = f"trial={{_target_:{WATCH},study:'{quoted}',number:{trial.number}}}"
        return [*self.trials.space.overrides(trial.params), "seeds=1", watch]

    def _close(self) -> None:
        """Train the champion where nobody does, and show what was found."""
        trials = self.trials
        if trials.exhausted() and trials.budget():
            known = (trials.space.size, trials.settings.n_trials)
            log.info("all %d points of the space are tried: the search ends before %d trials", *known)
        best = best_trial(trials)
        if trials.settings.champion and best is not None and not has_champion(trials):
            with claimed(trials) as mine:
                if not mine:
                    log.info("the champion is trained in another worker, which closes the study")
                    record.leave_running()
                elif not has_champion(trials):  # another worker's may have ended in between
                    self._train_champion(best)
        shown = draw_study(trials)
        record.show(shown.figures, shown.missing, trials_table(trials), summary_tags(trials))

    def _train_champion(self, best: FrozenTrial) -> None:
        overrides = [*self.fixed, *self.trials.space.overrides(best.params)]
        log.info("trial %d is the best: trained once more, with all seeds", best.number)
        (job,) = self.launcher.launch([overrides], initial_job_idx=len(self.trials.all()))
        outcome, error = job_result(job)
        if error is not None:
            raise RunError(f"the champion (trial {best.number}) could not be trained: {type(error).__name__}: {error}")
        version = record.register_champion(outcome.run_id)
        save_champion(self.trials, best, outcome.run_id, version)
        log.info("run %s is registered as version %d, alias champion", outcome.run_id, version)

    def _raise(self, broken: int) -> None:
        if self.failed:
            numbers = ", ".join(map(str, self.failed))
            told = "their errors are logged above and in the study's trials table"
            raise RunError(f"{len(self.failed)} trials failed in this process ({numbers}); {told}")
        if broken:
            raise MlssmError(f"{broken} of the other workers failed; see above")


def _start_workers(count: int, address: str) -> list[subprocess.Popen[bytes]]:
    """Start workers of the same study; they get its address by the environment, so that no password shows."""
    environment = {**os.environ, WORKER: "1", STORAGE: address}
    command = [sys.executable, *(without_password(item) for item in sys.orig_argv[1:])]
    return [subprocess.Popen(command, env=environment) for _ in range(count)]


def _stop(workers: list[subprocess.Popen[bytes]]) -> None:
    """End those that still run; their trials are tried again."""
    for worker in workers:
        if worker.poll() is None:
            log.warning("worker %d is stopped", worker.pid)
            worker.terminate()
            worker.wait()
