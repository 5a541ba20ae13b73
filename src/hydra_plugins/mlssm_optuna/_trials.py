"""The trials of a search: which count, which points are tried, and who may run the next one.

No worker is in charge: a trial is asked for first and looked at afterwards, and of two workers that came too close the
one with the higher number gives its trial back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_plugins.mlssm_optuna._heartbeat import SIGN, Heartbeat, retries
from hydra_plugins.mlssm_optuna._sampling import Draw, untried_sampler
from hydra_plugins.mlssm_optuna._settings import Settings
from hydra_plugins.mlssm_optuna._space import Point, Space

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

FAILED, TEXT = "failed", "error"  # why a trial is FAIL, in a word and in a sentence
ERROR, DIED, DUPLICATE, SURPLUS = "error", "died", "duplicate", "surplus"  # only the first one counts
ASKING_SECONDS = 10  # within which a worker that asks for a trial knows its point


@dataclass(frozen=True)
class Trials:
    """A study, and what its search was told."""

    study: Study
    heartbeat: Heartbeat
    space: Space
    settings: Settings

    def all(self) -> list[FrozenTrial]:
        """All of them, as the storage has them now."""
        return self.study.get_trials(deepcopy=False)

    def by_number(self, number: int) -> FrozenTrial:
        """One of them."""
        return next(trial for trial in self.all() if trial.number == number)

    def complete(self) -> list[FrozenTrial]:
        """Trials that have a value."""
        return [trial for trial in self.all() if trial.state.name == "COMPLETE"]

    def running(self) -> list[FrozenTrial]:
        """Trials that run; those whose process ended among them, until `next` looks for signs of life."""
        return [trial for trial in self.all() if trial.state.name == "RUNNING"]

    def counts(self, trial: FrozenTrial) -> bool:
        """Whether a trial is part of `n_trials`: it runs, or has ended in its own way."""
        if trial.state.name == "FAIL":
            return self.failure(trial)[0] == ERROR
        return trial.state.name in ("COMPLETE", "PRUNED", "RUNNING")

    def counted(self, trials: Iterable[FrozenTrial] | None = None) -> list[FrozenTrial]:
        """Trials that are part of `n_trials`."""
        return [trial for trial in (self.all() if trials is None else trials) if self.counts(trial)]

    def failure(self, trial: FrozenTrial) -> tuple[str, str]:
        """Why a trial failed, in a word and in a sentence; nothing was told of one whose process ended."""
        if told := trial.user_attrs.get(FAILED):
            return str(told), str(trial.user_attrs.get(TEXT, ""))
        times = len(retries(trial)) + 1
        if times > self.settings.max_retries:
            return ERROR, f"its process ended, {times} times in a row"
        return DIED, "its process ended"

    def budget(self) -> int:
        """How many trials may still begin."""
        return max(0, self.settings.n_trials - len(self.counted()))

    def tried(self, trials: Iterable[FrozenTrial]) -> set[Point]:
        """Points that are not to be drawn again, those that wait to be tried again among them."""
        found = (self.space.point(trial.params) for trial in trials if self.counts(trial) or _waits(trial))
        return {point for point in found if point is not None}

    def exhausted(self) -> bool:
        """Whether each point of a finite space is tried."""
        trials, size = self.all(), self.space.size
        return size is not None and not any(map(_waits, trials)) and len(self.tried(trials)) >= size

    def next(self) -> Trial | None:
        """The next trial, this worker's own; None where there is none left to begin."""
        while True:
            self.heartbeat.fail_stale(self.study)
            if not self.budget() or self.exhausted():
                return None
            trials = self.all()
            uncounted = sum(not self.counts(trial) for trial in trials)
            self.study.sampler = untried_sampler(Draw(self.settings, self.space, self.tried(trials), uncounted))
            trial = self.study.ask(self.space.distributions())
            self.heartbeat.begin(self.study, trial.number)
            reason = self._not_needed(trial)
            if reason is None:
                return trial
            log.info("trial %d is given back: another worker was faster (%s)", trial.number, reason)
            self.tell(trial.number, "FAIL", None, {FAILED: reason})

    def release(self, numbers: Iterable[int]) -> None:
        """End trials that are running no more, as the search is stopped; their points are tried again."""
        for number in numbers:
            self.heartbeat.fail(self.study, self.by_number(number))

    def tell(self, number: int, state: str, values: list[float] | None, attributes: dict[str, Any]) -> bool:
        """End a running trial; False if it has ended already, as another worker took this one for dead."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        storage, trial_id = self.heartbeat.storage, self.heartbeat.trial_id(self.study, number)
        try:
            for key, value in attributes.items():
                storage.set_trial_user_attr(trial_id, key, value)
            self.study.tell(number, values, TrialState[state])
        except (UpdateFinishedTrialError, ValueError):
            if not storage.get_trial(trial_id).state.is_finished():
                raise
            return False
        return True

    def _not_needed(self, trial: Trial) -> str | None:
        """Why a trial that was just asked for is not run after all."""
        trials = self._settled(trial.number)
        others = [other for other in trials if other.number != trial.number]
        before = [other for other in others if other.number < trial.number]
        if self.space.point(trial.params) in {self.space.point(other.params) for other in self.counted(before)}:
            return DUPLICATE
        # one that waited has a lower number than some that began before it
        waited = any(retries(other) for other in trials if other.number == trial.number)
        rivals = others if waited else before
        return SURPLUS if len(self.counted(rivals)) >= self.settings.n_trials else None

    def _settled(self, number: int) -> list[FrozenTrial]:
        """All trials, once those of lower number know their points."""
        end = time.monotonic() + ASKING_SECONDS
        while True:
            trials = self.all()
            asking = [item for item in trials if item.number < number and item.state.name == "RUNNING"]
            if all(SIGN in item.user_attrs for item in asking) or time.monotonic() > end:
                return trials
            time.sleep(0.05)


def _waits(trial: FrozenTrial) -> bool:
    return trial.state.name == "WAITING"
