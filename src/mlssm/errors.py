"""The errors that a user can meet. Each message names the place, the value and the cure in one or two lines."""

from __future__ import annotations


class MlssmError(Exception):
    """Base of all errors that are the input's, not the program's; the command line prints them without a traceback."""


class ConfigError(MlssmError):
    """A configuration key, choice or value that is not allowed."""


class DataError(MlssmError):
    """An input file or folder that is missing, unreadable or does not fit."""


class ChangedError(MlssmError):
    """A source file that changed while it was read: no fault of the file, and never left out."""


class SplitError(MlssmError):
    """A split, threshold or lag that leaves too little to train on or to score."""


class RunError(MlssmError):
    """A run or a model bundle that cannot be found or does not fit the data."""


class WorkerError(MlssmError):
    """Workers that died while they worked on a part of an area."""


class Pruned(MlssmError):
    """A trial that its search stopped early, after the epoch (counted from 1) that `epoch` names."""

    def __init__(self, epoch: int) -> None:
        """Say when."""
        super().__init__(f"the search stopped this trial after epoch {epoch}")
        self.epoch = epoch

    def __reduce__(self) -> tuple[type[Pruned], tuple[int]]:
        """Let it cross from one process to another."""
        return Pruned, (self.epoch,)
