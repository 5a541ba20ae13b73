"""Which trials are stopped early; the study keeps it, so that a job in another process prunes alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra_plugins.mlssm_optuna._settings import Pruning, Settings
from hydra_plugins.mlssm_optuna._storage import storage_of_job

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner

PRUNER = "pruner"


class TrialWatch:
    """Reports a training's epochs to the study, and says when to stop.

    Made from the configuration's `trial` in the job's process, which may be on another machine.
    """

    def __init__(self, study: str, number: int) -> None:
        """Find the trial; the address of its storage stands in the environment alone.

        Args:
            study: Name of the study.
            number: Number of the trial.

        Raises:
            RunError: The storage cannot be reached.
        """
        import optuna

        self._storage = storage_of_job()
        self._study = optuna.load_study(study_name=study, storage=self._storage)
        self._study.pruner = load_pruner(self._study)
        study_id = self._storage.get_study_id_from_name(study)
        self._trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def report(self, epoch: int, rmse: float) -> bool:
        """Take an epoch's (from 1) validation score, and say whether to stop the training."""
        # by the storage, for a Trial of Optuna's would draw its point anew
        self._storage.set_trial_intermediate_value(self._trial_id, epoch, rmse)
        return self._study.pruner.prune(self._study, self._storage.get_trial(self._trial_id))


def make_pruner(name: str, pruning: Pruning) -> BasePruner:
    """Optuna's pruner of that name."""
    from optuna import pruners

    if name == "median":
        first_look = pruning.warmup_epochs + 1  # Optuna looks at this one already
        return pruners.MedianPruner(pruning.startup_trials, first_look, pruning.interval_epochs)
    if name == "hyperband":
        return pruners.HyperbandPruner(pruning.min_epochs, pruning.max_epochs, pruning.reduction_factor)
    return pruners.NopPruner()


def save_pruner(study: Study, settings: Settings) -> None:
    """Write to the study how its trials are pruned from now on."""
    study.set_user_attr(PRUNER, {"name": settings.pruner, "pruning": settings.pruning.model_dump()})
    study.pruner = make_pruner(settings.pruner, settings.pruning)


def load_pruner(study: Study) -> BasePruner:
    """What `save_pruner` wrote."""
    saved = study.user_attrs[PRUNER]
    return make_pruner(saved["name"], Pruning.model_validate(saved["pruning"]))
