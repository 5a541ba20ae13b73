"""Metrics into a run: finite values only, and a final value that stays the last one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlssm.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Metric

METRICS_PER_CALL = 1000  # MLflow's own limit
NOT_FINITE = "metrics.not_finite"


def send_metrics(store: Store, run_id: str, values: Mapping[str, float], step: int | None) -> None:
    """Write metrics to a run.

    MLflow would store NaN as 0 with a flag and infinity as 1.8e308, which its charts and searches then take for
    numbers. So values that are not finite are left out, and the tag `metrics.not_finite` names them.

    Args:
        store: The open store.
        run_id: The run.
        values: Metric name to value; numbers, or tensors and arrays of one element.
        step: The step; None for final values, which MLflow then shows as the last ones after any earlier step.
    """
    numbers = {name: float(value) for name, value in values.items()}
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    if len(finite) < len(numbers):
        _name_not_finite(store, run_id, numbers.keys() - finite.keys())
    metrics = _at_step(finite, step) if step is not None else _after_all(store, run_id, finite)
    for start in range(0, len(metrics), METRICS_PER_CALL):
        store.client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_CALL], synchronous=True)


def _at_step(values: Mapping[str, float], step: int) -> list[Metric]:
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    return [Metric(name, value, now, step) for name, value in values.items()]


def _after_all(store: Store, run_id: str, values: Mapping[str, float]) -> list[Metric]:
    """Place each value after its own history: MLflow's latest value is the one of highest step, then of latest time."""
    from mlflow.entities import Metric

    known = store.client.get_run(run_id).data.metrics
    now = time.time_ns() // 1_000_000
    metrics = []
    for name, value in values.items():
        history = store.client.get_metric_history(run_id, name) if name in known else []
        last = max(((item.step, item.timestamp) for item in history), default=(0, 0))
        metrics.append(Metric(name, value, max(now, last[1] + 1), last[0]))
    return metrics


def _name_not_finite(store: Store, run_id: str, names: set[str]) -> None:
    before = store.client.get_run(run_id).data.tags.get(NOT_FINITE, "")
    store.client.set_tag(run_id, NOT_FINITE, ", ".join(sorted(names | set(filter(None, before.split(", "))))))
