"""The best trial, trained once more with all seeds, by exactly one of the workers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from hydra_plugins.mlssm_optuna._trials import Trials, ask

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

CHAMPION = "champion"


def best_trial(trials: Trials) -> FrozenTrial | None:
    """The complete trial of lowest value; of several objectives, the one of lowest RMSE on the Pareto front."""
    if not trials.complete():
        return None
    names = trials.settings.objectives
    place = names.index("rmse") if "rmse" in names else 0
    return min(trials.study.best_trials, key=lambda trial: (trial.values[place], trial.number))


def has_champion(trials: Trials) -> bool:
    """Whether the study, as long as it is now, has its champion."""
    kept: dict[str, Any] = trials.study.user_attrs.get(CHAMPION, {})
    return kept.get("trials") == len(trials.counted())


def save_champion(trials: Trials, trial: FrozenTrial, run_id: str, version: int) -> None:
    """Write to the study which trial's point was trained again, and what it came to."""
    kept = {"trials": len(trials.counted()), "trial": trial.number, "run_id": run_id, "version": version}
    trials.study.set_user_attr(CHAMPION, kept)


class Claim:
    """The right to train the champion: a running trial in a study of its own, of which the lowest number counts."""

    def __init__(self, trials: Trials) -> None:
        """Claim it; a claim of a worker that was killed counts no more."""
        import optuna

        self._heartbeat = trials.heartbeat
        self._study = optuna.create_study(
            study_name=f"{trials.study.study_name} {CHAMPION}", storage=trials.heartbeat.storage, load_if_exists=True
        )
        self._number = ask(self._study).number
        self._heartbeat.begin(self._study, self._number)

    def holds(self) -> bool:
        """Whether this worker has the right."""
        self._heartbeat.fail_stale(self._study)
        running = [trial.number for trial in self._study.get_trials(deepcopy=False) if trial.state.name == "RUNNING"]
        return self._number == min(running, default=None)

    def kept(self) -> AbstractContextManager[None]:
        """Keep the claim while the block runs."""
        return self._heartbeat.beating(self._study, [self._number])

    def drop(self) -> None:
        """Leave it to others."""
        from optuna.trial import TrialState

        self._study.tell(self._number, state=TrialState.FAIL, skip_if_finished=True)
