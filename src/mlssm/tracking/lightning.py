"""Lightning's metrics into a run that is already there."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from mlssm.tracking.run import TrackedRun

COURSE = ("train/loss", "val/natural/rmse")  # of one of several trainings in a run


class RunLogger(Logger):
    """Writes metrics to one run, from the first rank only, and leaves all else of the run alone.

    Lightning's own MLFlowLogger would set the run's end status when fit ends (FINISHED before the test has run), log
    the hyperparameters again, cut, set the process-wide tracking URI, which the next job of a sweep inherits, and end
    the training with the server.
    """

    def __init__(self, run: TrackedRun, place: str = "") -> None:
        """Bind the logger to a run that is being written.

        Args:
            run: The run.
            place: Begins the names of the metrics, which are then those of `COURSE` alone; empty: all, as they are.
        """
        super().__init__()
        self._run, self._place = run, place

    @property
    def name(self) -> str:
        """The experiment id."""
        return self._run.store.experiment_id

    @property
    def version(self) -> str:
        """The run id."""
        return self._run.run_id

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics at a step of the trainer."""
        if self._place:
            metrics = {f"{self._place}{name}": metrics[name] for name in COURSE if name in metrics}
        self._run.log_metrics(metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run has its whole configuration since its start."""


def lightning_logger(run: TrackedRun, place: str = "") -> RunLogger:
    """The Trainer's logger for a run made by `tracked_run`; see `RunLogger`."""
    return RunLogger(run, place)
