"""One worker's search: what is told is checked first, then trials run until none is left."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_plugins.mlssm_optuna._champion import Claim, best_trial, crowned, keep_champion
from hydra_plugins.mlssm_optuna._figures import pictures, summary_tags, trials_table
from hydra_plugins.mlssm_optuna._ledger import Ledger
from hydra_plugins.mlssm_optuna._outcome import tell_outcome
from hydra_plugins.mlssm_optuna._owner import beating
from hydra_plugins.mlssm_optuna._pruning import keep_pruner
from hydra_plugins.mlssm_optuna._settings import Settings
from hydra_plugins.mlssm_optuna._space import Choice, Space, read_space
from hydra_plugins.mlssm_optuna._storage import STORAGE, absolute_address, open_storage
from hydra_plugins.mlssm_optuna._study import describe_search, open_study
from hydra_plugins.mlssm_optuna._workers import is_worker, start_workers, stop, wait_for
from mlssm.errors import MlssmError, RunError
from mlssm.jobs import search as record
from mlssm.secrets import without_password

if TYPE_CHECKING:
    from optuna import Trial

log = logging.getLogger(__name__)

WATCH = "hydra_plugins.mlssm_optuna.watch.TrialWatch"
OWN_KEYS = ("seeds", "trial")  # a trial trains one seed; the champion all of them


def run_search(
    settings: Settings, arguments: Sequence[str], config: DictConfig, loader: ConfigLoader, launcher: Launcher
) -> float | None:
    """Search as one worker, and start the others.

    Args:
        settings: The keys of `hydra.sweeper`.
        arguments: Overrides of the command line.
        config: The sweep's own configuration, Hydra's part included; passwords are taken out of it.
        loader: Hydra's.
        launcher: Runs the jobs.

    Returns:
        The best value, of the first objective; None if no trial is complete.

    Raises:
        MlssmError: A setting, the space, the storage or the study does not allow it, or trials failed.
    """
    address = os.environ[STORAGE] if is_worker() else absolute_address(settings.storage)
    _hide_password(config)
    space, fixed = read_space(settings.params, arguments, loader)
    base = _compose(config, loader, space, fixed)
    os.environ[STORAGE] = address
    search = describe_search(space, settings, base)
    name = settings.study_name or f"{_title(config)}-{search.digest}"
    study = open_study(open_storage(address), name, search)
    record.join(name)
    keep_pruner(study, settings)
    _keep_configuration(config)
    worker = Worker(Ledger(study, space, settings), launcher, fixed, _runs_here(config))
    worker.work(address)
    best = best_trial(worker.ledger)
    return None if best is None else float(best.values[0])


@dataclass
class Worker:
    """One of the processes that share a study.

    Attributes:
        ledger: The study's book.
        launcher: Runs the jobs.
        fixed: Overrides that all trials have in common.
        here: Whether the launcher runs jobs in this process, one after the other.
        failed: Trials of this worker that failed.
    """

    ledger: Ledger
    launcher: Launcher
    fixed: list[str]
    here: bool
    failed: list[int] = field(default_factory=list)

    def work(self, address: str) -> None:
        """Run trials until none is left, then close the study if this worker is the last one."""
        self.ledger.bury()
        others: list[subprocess.Popen[bytes]] = []
        if self.here and not is_worker() and self.ledger.budget():
            others = start_workers(self.ledger.settings.n_jobs - 1, address)
        try:
            while batch := self._ask():
                self._run(batch)
            broken = wait_for(others)
        finally:
            stop(others)
        self._close()
        self._raise(broken)

    def _ask(self) -> list[Trial]:
        wanted = 1 if self.here else self.ledger.settings.n_jobs
        found: list[Trial] = []
        try:
            while len(found) < wanted and (trial := self.ledger.ask()):
                found.append(trial)
        except BaseException:
            self._release(found)
            raise
        return found

    def _run(self, batch: list[Trial]) -> None:
        """Run trials; what ends this process while they run gives them back."""
        common = [item for item in self.fixed if item.lstrip("+").partition("=")[0] not in OWN_KEYS]
        jobs = [[*common, *self._overrides(trial)] for trial in batch]
        try:
            with beating(batch, self.ledger.settings.heartbeat_s):
                returns = self.launcher.launch(jobs, initial_job_idx=batch[0].number)
        except BaseException:
            self._release(batch)
            raise
        for trial, job in zip(batch, returns, strict=True):
            if not tell_outcome(self.ledger, trial.number, job):
                self.failed.append(trial.number)

    def _release(self, batch: list[Trial]) -> None:
        trials = {trial.number: trial for trial in self.ledger.trials()}
        for trial in batch:
            self.ledger.release(trials[trial.number], "the search was stopped")

    def _overrides(self, trial: Trial) -> list[str]:
        quoted = self.ledger.study.study_name.replace("\\", "\\\\").replace("'", "\\'")
        watch = f"trial={{_target_:{WATCH},study:'{quoted}',number:{trial.number}}}"
        return [*self.ledger.space.overrides(trial.params), "seeds=1", watch]

    def _close(self) -> None:
        """Show what was found; the last worker trains the champion."""
        ledger = self.ledger
        if ledger.exhausted() and ledger.budget():
            log.info(
                "all %d points of the space are tried: the search ends before %d trials",
                ledger.space.size,
                ledger.settings.n_trials,
            )
        if running := ledger.running():
            log.info("%d trials run in other workers, which close the study", len(running))
            record.leave_running()
        elif ledger.settings.champion and ledger.done():
            self._crown()
        shown = pictures(ledger)
        record.show(shown.figures, shown.missing, trials_table(ledger), summary_tags(ledger))

    def _crown(self) -> None:
        claim = Claim(self.ledger)
        if crowned(self.ledger) or not claim.take():
            return
        try:
            best = best_trial(self.ledger)
            if not crowned(self.ledger) and best is not None:
                self._train_champion(best.number)
        finally:
            claim.drop()

    def _train_champion(self, number: int) -> None:
        trials = self.ledger.trials()
        overrides = [*self.fixed, *self.ledger.space.overrides(trials[number].params)]
        log.info("trial %d is the best: trained once more, with all seeds", number)
        (job,) = self.launcher.launch([overrides], initial_job_idx=len(trials))
        outcome = job._return_value  # the property would raise an error
        if job.status != JobStatus.COMPLETED:
            raise RunError(f"the champion (trial {number}) could not be trained: {type(outcome).__name__}: {outcome}")
        version = record.register_champion(outcome.run_id)
        keep_champion(self.ledger, trials[number], outcome.run_id, version)
        log.info("run %s is registered as version %d, alias champion", outcome.run_id, version)

    def _raise(self, broken: int) -> None:
        if self.failed:
            numbers = ", ".join(map(str, self.failed))
            told = "their errors are logged above and in the study's trials table"
            raise RunError(f"{len(self.failed)} trials failed in this process ({numbers}); {told}")
        if broken:
            raise MlssmError(f"{broken} of the other workers failed; see above")


def _compose(config: DictConfig, loader: ConfigLoader, space: Space, fixed: list[str]) -> DictConfig:
    """The configuration that trials have in common; composes all choices, so that unknown ones end the search here."""
    first = {key: dimension.first for key, dimension in space.dimensions.items()}
    loader.load_sweep_config(config, [*fixed, *space.overrides(first)])
    for key, dimension in space.dimensions.items():
        if isinstance(dimension, Choice) and "." not in key:
            for value in dimension.values[1:]:
                loader.load_sweep_config(config, [*fixed, *space.overrides({**first, key: value})])
    return loader.load_sweep_config(config, fixed)


def _hide_password(config: DictConfig) -> None:
    """Take the storage's password out of what Hydra writes beside each job."""
    hydra = config.hydra
    with read_write(config), open_dict(config):
        shown = [without_password(item) for item in hydra.overrides.hydra]
        hydra.overrides.hydra = shown
        if without_password(hydra.sweeper.storage) != hydra.sweeper.storage:
            hydra.sweeper.storage = without_password(hydra.sweeper.storage)


def _keep_configuration(config: DictConfig) -> None:
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")


def _title(config: DictConfig) -> str:
    return str(config.hydra.runtime.choices.get("search") or config.hydra.job.name)


def _runs_here(config: DictConfig) -> bool:
    return str(config.hydra.launcher.get("_target_", "")).endswith(".BasicLauncher")
