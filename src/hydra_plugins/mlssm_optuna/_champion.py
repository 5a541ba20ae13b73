"""The best trial, trained once more with all seeds, by exactly one of the workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hydra_plugins.mlssm_optuna._trials import Trials

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
    return bool(trials.study.user_attrs.get(CHAMPION, {}).get("trials") == len(trials.counted()))


def save_champion(trials: Trials, trial: FrozenTrial, run_id: str, version: int | None) -> None:
    """Write to the study which trial's point was trained again, and what it came to."""
    kept = {"trials": len(trials.counted()), "trial": trial.number, "run_id": run_id, "version": version}
    trials.study.set_user_attr(CHAMPION, kept)


@contextmanager
def claimed(trials: Trials) -> Iterator[bool]:
    """Whether this worker has the right to train the champion, which it keeps while the block runs.

    A claim is a running trial in a study of its own, of which that of the lowest number counts.
    """
    import optuna

    name, heartbeat = f"{trials.study.study_name} {CHAMPION}", trials.heartbeat
    study = optuna.create_study(study_name=name, storage=heartbeat.storage, load_if_exists=True)
    number = study.ask().number
    heartbeat.begin(study, number)
    try:
        with heartbeat.beating(study, [number]):
            heartbeat.fail_stale(study)
            yield number == min(item.number for item in study.get_trials() if item.state.name == "RUNNING")
    finally:
        study.tell(number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
