"""The best trial, trained once more with all seeds, by exactly one of the workers."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from hydra_plugins.mlssm_optuna._ledger import Ledger
from hydra_plugins.mlssm_optuna._owner import OWNER, Owner

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

CHAMPION = "champion"
CLAIM_SECONDS = 10  # within which a worker that claims has said who it is


def best_trial(ledger: Ledger) -> FrozenTrial | None:
    """The complete trial of lowest value; of several objectives, the one of lowest RMSE on the Pareto front."""
    if not any(trial.state.name == "COMPLETE" for trial in ledger.trials()):
        return None
    names = ledger.settings.objectives
    place = names.index("rmse") if "rmse" in names else 0
    return min(ledger.study.best_trials, key=lambda trial: (trial.values[place], trial.number))


def crowned(ledger: Ledger) -> bool:
    """Whether the study, as long as it is now, has its champion."""
    kept: dict[str, Any] = ledger.study.user_attrs.get(CHAMPION, {})
    return kept.get("trials") == len(ledger.counted())


def keep_champion(ledger: Ledger, trial: FrozenTrial, run_id: str, version: int) -> None:
    """Write to the study which trial's point was trained again, and what it came to."""
    kept = {"trials": len(ledger.counted()), "trial": trial.number, "run_id": run_id, "version": version}
    ledger.study.set_user_attr(CHAMPION, kept)


class Claim:
    """The right to train the champion: a study of its own in the storage, which only one worker can make."""

    def __init__(self, ledger: Ledger) -> None:
        """Nothing is claimed yet."""
        self._ledger = ledger
        self._held: list[Study] = []

    def take(self) -> bool:
        """Whether this worker has the right; one that was killed loses it."""
        import optuna

        for attempt in range(1000):
            name = f"{self._ledger.study.study_name} champion {len(self._ledger.counted())}.{attempt}"
            try:
                study = optuna.create_study(study_name=name, storage=self._ledger.study._storage)
            except optuna.exceptions.DuplicatedStudyError:
                study = optuna.load_study(study_name=name, storage=self._ledger.study._storage)
                if self._alive(study):
                    return False
                self._held.append(study)
                continue
            study.set_user_attr(OWNER, Owner.here().keep())
            self._held.append(study)
            return True
        return False

    def drop(self) -> None:
        """Leave it to others; those of dead workers go too."""
        import optuna

        for study in self._held:
            optuna.delete_study(study_name=study.study_name, storage=study._storage)
        self._held.clear()

    def _alive(self, study: Study) -> bool:
        end = time.monotonic() + CLAIM_SECONDS
        while not study.user_attrs and time.monotonic() < end:
            time.sleep(0.1)
        owner = Owner.read(study.user_attrs.get(OWNER))
        return owner is not None and owner.alive(self._ledger.settings.grace_s)
