"""What a training comes to, as a sweep or a search sees it."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

from hydra.core.utils import JobReturn


@dataclass(frozen=True)
class Outcome:
    """The end of a training; plain values, so that it can come from another process.

    Attributes:
        rmse: Lowest RMSE on the natural validation split, SSM units; the mean over seeds.
        cost: Floating-point operations for a pixel of one map.
        run_id: The MLflow run; empty in a process that keeps none.
        pruned_epoch: The epoch (from 1) after which the search stopped it; None where it came to its end.
    """

    rmse: float
    cost: float
    run_id: str
    pruned_epoch: int | None = None


def job_result(job: JobReturn) -> tuple[Any, Exception | None]:
    """What a job of a sweep returned, and None; or None, and the error that ended it."""
    with contextlib.redirect_stderr(io.StringIO()):  # Hydra prints the overrides before it raises the error
        try:
            return job.return_value, None
        except Exception as error:
            return None, error
