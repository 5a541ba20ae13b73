"""What a training comes to, as a sweep or a search sees it."""

from __future__ import annotations

from dataclasses import dataclass


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
