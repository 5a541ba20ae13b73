"""The study's book: which trials count, which points are tried, and who may run the next one.

Every worker keeps the same book, so none is in charge: a trial is asked for first and looked at afterwards, and of two
workers that came too close the one with the higher number gives its trial back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_plugins.mlssm_optuna._owner import OWNER, Owner
from hydra_plugins.mlssm_optuna._sampling import Draw, untried_sampler
from hydra_plugins.mlssm_optuna._settings import Settings
from hydra_plugins.mlssm_optuna._space import Point, Space

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

FAILED = "failed"  # why a trial is FAIL:
ERROR, DIED, DUPLICATE, SURPLUS = "error", "died", "duplicate", "surplus"  # only the first one counts
RETRY_OF, ATTEMPT, TEXT = "retry_of", "attempt", "error"
ASKING_SECONDS = 10  # after which a worker that never finished asking is taken for gone


@dataclass(frozen=True)
class Ledger:
    """A study, and what its search was told."""

    study: Study
    space: Space
    settings: Settings

    def trials(self) -> list[FrozenTrial]:
        """All of them, as the storage has them now."""
        return self.study.get_trials(deepcopy=False)

    def counted(self, trials: Iterable[FrozenTrial] | None = None) -> list[FrozenTrial]:
        """Trials that are part of `n_trials`: running, or ended in their own way."""
        return [trial for trial in (self.trials() if trials is None else trials) if counts(trial)]

    def running(self) -> list[FrozenTrial]:
        """Trials whose process is there."""
        return [trial for trial in self.trials() if trial.state.name == "RUNNING" and not self.dead(trial)]

    def done(self) -> bool:
        """Whether nothing is left to run, here or elsewhere."""
        states = {trial.state.name for trial in self.trials()}
        return not states & {"RUNNING", "WAITING"} and (self.budget() == 0 or self.exhausted())

    def budget(self) -> int:
        """How many trials may still begin."""
        return max(0, self.settings.n_trials - len(self.counted()))

    def tried(self, trials: Iterable[FrozenTrial]) -> set[Point]:
        """Points that are not to be drawn again, those that wait to be tried again among them."""
        found = {self.point(trial) for trial in trials if counts(trial) or trial.state.name == "WAITING"}
        return {point for point in found if point is not None}

    def point(self, trial: FrozenTrial) -> Point | None:
        """A trial's point; None as long as its worker is asking for it."""
        return self.space.point(trial.params or trial.system_attrs.get("fixed_params", {}))

    def exhausted(self) -> bool:
        """Whether each point of a finite space is tried."""
        trials, size = self.trials(), self.space.size
        waits = any(trial.state.name == "WAITING" for trial in trials)
        return size is not None and not waits and len(self.tried(trials)) >= size

    def ask(self) -> Trial | None:
        """The next trial, this worker's own; None where there is none left to begin."""
        while True:
            self.bury()
            if not self.budget() or self.exhausted():
                return None
            trials = self.trials()
            uncounted = sum(not counts(trial) for trial in trials)
            self.study.sampler = untried_sampler(Draw(self.settings, self.space, self.tried(trials), uncounted))
            trial = self.study.ask(self.space.distributions())
            trial.set_user_attr(OWNER, Owner.here().keep())
            reason = self._given_back(trial)
            if reason is None:
                return trial
            log.info("trial %d is given back: another worker was faster (%s)", trial.number, reason)
            self.fail(trial.number, reason)

    def bury(self) -> None:
        """Tell FAIL for trials whose process is gone, and have their points tried again."""
        for trial in self.trials():
            if trial.state.name == "RUNNING" and self.dead(trial):
                self.release(trial, "its process is gone")

    def dead(self, trial: FrozenTrial) -> bool:
        """Whether a running trial's process is gone."""
        owner = Owner.read(trial.user_attrs.get(OWNER))
        if owner is None:  # killed while it asked, or asking right now
            begun = trial.datetime_start
            return begun is not None and time.time() - begun.timestamp() > self.settings.grace_s
        return not owner.alive(self.settings.grace_s)

    def release(self, trial: FrozenTrial, why: str) -> None:
        """End a trial that did not come to its end; its point is tried again, up to `max_retries` times."""
        attempt = int(trial.user_attrs.get(ATTEMPT, 0)) + 1
        if attempt > self.settings.max_retries:
            self.fail(trial.number, ERROR, f"{why}, {attempt} times in a row")
            return
        whole = self.space.point(trial.params) is not None
        if whole and all(other.user_attrs.get(RETRY_OF) != trial.number for other in self.trials()):
            # first of all: a worker that is killed between the two loses no point
            self.study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number, ATTEMPT: attempt})
        if self.fail(trial.number, DIED, why):
            log.warning("trial %d FAIL: %s; its point is tried again", trial.number, why)

    def fail(self, number: int, reason: str, text: str = "") -> bool:
        """Tell FAIL and why; False if another worker was faster."""
        attributes = {FAILED: reason} | ({TEXT: text} if text else {})
        return self.tell(number, "FAIL", None, attributes)

    def tell(self, number: int, state: str, values: list[float] | None, attributes: dict[str, Any]) -> bool:
        """End a running trial; False if it has ended already, as another worker took this one for dead."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        storage = self.study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number)
        try:
            for key, value in attributes.items():
                storage.set_trial_user_attr(trial_id, key, value)
            self.study.tell(number, values, TrialState[state])
        except (UpdateFinishedTrialError, ValueError):
            if not storage.get_trial(trial_id).state.is_finished():
                raise
            return False
        return True

    def _given_back(self, trial: Trial) -> str | None:
        """Why a trial that was just asked for is not run after all."""
        others = [other for other in self._settled(trial.number) if other.number != trial.number]
        retry_of = trial.user_attrs.get(RETRY_OF)
        before = [other for other in others if other.number < trial.number and other.number != retry_of]
        if self.space.point(trial.params) in {self.point(other) for other in self.counted(before)}:
            return DUPLICATE
        # one that waited has a lower number than some that began before it
        rivals = before if retry_of is None else others
        return SURPLUS if len(self.counted(rivals)) >= self.settings.n_trials else None

    def _settled(self, number: int) -> list[FrozenTrial]:
        """All trials, once those of lower number know their points."""
        end = time.monotonic() + ASKING_SECONDS
        while True:
            trials = self.trials()
            asking = [item for item in trials if item.number < number and item.state.name == "RUNNING"]
            if all(self.point(item) is not None for item in asking) or time.monotonic() > end:
                return trials
            time.sleep(0.05)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is part of `n_trials`: it runs, or has ended in its own way."""
    if trial.state.name == "FAIL":
        return trial.user_attrs.get(FAILED) == ERROR
    return trial.state.name in ("COMPLETE", "PRUNED", "RUNNING")
