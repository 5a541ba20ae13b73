"""Lightning's metrics into a run that is already there."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from mlssm.tracking.metrics import send_metrics
from mlssm.tracking.store import Store


class RunLogger(Logger):
    """Writes metrics to one existing run, from the first rank only, and leaves all else of the run alone.

    Lightning's own MLFlowLogger would set the run's end status when fit ends (FINISHED before the test has run), log
    the hyperparameters again, cut, and set the process-wide tracking URI, which the next job of a sweep inherits.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        """Bind the logger to a run of an open store."""
        super().__init__()
        self._store = store
        self._run_id = run_id

    @property
    def name(self) -> str:
        """The experiment id."""
        return self._store.experiment_id

    @property
    def version(self) -> str:
        """The run id."""
        return self._run_id

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics at a step of the trainer."""
        send_metrics(self._store, self._run_id, metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run has its whole configuration since its start."""


def lightning_logger(store: Store, run_id: str) -> RunLogger:
    """The Trainer's logger for a run made by `tracked_run`."""
    return RunLogger(store, run_id)
