"""A trial's eye on its training: it reports each epoch to the study, and says when to stop."""

from __future__ import annotations


class TrialWatch:
    """Made in the job's process, which may be on another machine, from the configuration's `trial`."""

    def __init__(self, study: str, number: int) -> None:
        """Find the trial; the address of its storage stands in the environment alone.

        Args:
            study: Name of the study.
            number: Number of the trial.

        Raises:
            RunError: The storage cannot be reached.
        """
        import optuna

        from hydra_plugins.mlssm_optuna._pruning import kept_pruner
        from hydra_plugins.mlssm_optuna._storage import storage_of_job

        self._storage = storage_of_job()
        self._study = optuna.load_study(study_name=study, storage=self._storage)
        self._study.pruner = kept_pruner(self._study)
        study_id = self._storage.get_study_id_from_name(study)
        self._trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def report(self, epoch: int, rmse: float) -> bool:
        """Take an epoch's (from 1) validation score, and say whether to stop the training."""
        # by the storage, for a Trial of Optuna's would draw its point anew
        self._storage.set_trial_intermediate_value(self._trial_id, epoch, rmse)
        return self._study.pruner.prune(self._study, self._storage.get_trial(self._trial_id))
