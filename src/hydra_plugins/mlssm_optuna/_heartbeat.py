"""Signs of life of running trials; a trial that gives none has failed, and its point is tried again.

Optuna's own heartbeat is kept by `RDBStorage` alone, that is by SQLite and PostgreSQL. A journal file has none, and no
storage has one for a trial that was killed before its first sign: there a user attribute does the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hydra_plugins.mlssm_optuna._settings import Settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

SIGN = "heartbeat"  # when a trial gave its first sign of life, in a journal its last one; seconds since 1970


def retry_callback(max_retries: int) -> Callable[[Study, FrozenTrial], None]:
    """Queue the point of a trial that died, unless it has died so many times before."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    queue = RetryHeartbeatStaleTrialCallback(max_retry=max_retries)

    def retry(study: Study, trial: FrozenTrial) -> None:
        end = "tried again" if len(retries(trial)) < max_retries else "given up"
        log.warning("study %s: trial %d FAIL: its process ended; its point is %s", study.study_name, trial.number, end)
        queue(study, trial)

    return retry


def retries(trial: FrozenTrial) -> list[int]:
    """The trials that had a trial's point before it and died, oldest first."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    return RetryHeartbeatStaleTrialCallback.retry_history(trial)


class Heartbeat:
    """The signs of life that trials of a storage give and that others look for."""

    def __init__(self, storage: BaseStorage, settings: Settings) -> None:
        """Take a storage that `open_storage` opened with the same settings."""
        from optuna.storages import RDBStorage

        self.storage = storage
        self._settings = settings
        self._database = storage if isinstance(storage, RDBStorage) else None
        self._retry = retry_callback(settings.max_retries)

    def trial_id(self, study: Study, number: int) -> int:
        """The storage's own id of a trial."""
        study_id = self.storage.get_study_id_from_name(study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def begin(self, study: Study, number: int) -> None:
        """Give the first sign of a trial."""
        trial_id = self.trial_id(study, number)
        self._give(trial_id)
        self.storage.set_trial_user_attr(trial_id, SIGN, time.time())

    @contextmanager
    def beating(self, study: Study, numbers: Sequence[int]) -> Iterator[None]:
        """Give signs for running trials while the block runs; a storage that fails meanwhile is tried again."""
        from optuna.exceptions import OptunaError
        from sqlalchemy.exc import SQLAlchemyError

        ids, done = [self.trial_id(study, number) for number in numbers], threading.Event()

        def beat() -> None:
            while not done.wait(self._settings.heartbeat_s):
                try:
                    for trial_id in ids:
                        self._give(trial_id)
                except (OptunaError, SQLAlchemyError, OSError) as error:
                    log.warning("trials %s: no sign of life could be given: %s", numbers, str(error)[:300])

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def fail_stale(self, study: Study) -> None:
        """Tell FAIL for trials that give no sign of life, and queue their points again."""
        from optuna.storages import fail_stale_trials

        fail_stale_trials(study)  # does nothing in a journal
        for trial in study.get_trials():
            if trial.state.name == "RUNNING" and self._is_silent(trial):
                self.fail(study, trial)

    def fail(self, study: Study, trial: FrozenTrial) -> None:
        """Tell FAIL for a running trial that did not come to its end, and queue its point again."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            if self.storage.set_trial_state_values(self.trial_id(study, trial.number), TrialState.FAIL):
                self._retry(study, trial)
        except UpdateFinishedTrialError:
            return  # another worker was faster

    def _give(self, trial_id: int) -> None:
        if self._database is not None:
            self._database.record_heartbeat(trial_id)
        else:
            self.storage.set_trial_user_attr(trial_id, SIGN, time.time())

    def _is_silent(self, trial: FrozenTrial) -> bool:
        """Whether a running trial gives no sign, of those that Optuna does not look after."""
        start = trial.datetime_start.timestamp() if trial.datetime_start else time.time()
        sign = trial.user_attrs.get(SIGN, 0.0)  # one before the start is of the trial that had the point before
        looked_after = self._database is not None and sign >= start
        return not looked_after and time.time() - max(sign, start) > self._settings.grace_s
