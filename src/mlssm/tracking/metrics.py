"""Metrics into a run: finite values only, none twice, and a final value that stays the last one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mlssm.tracking.operations import Entry, Metrics, Operation, Tags
from mlssm.tracking.store import Store

NOT_FINITE = "metrics.not_finite"


class Last(NamedTuple):
    """Where a metric's history stands; `time` is in milliseconds since 1970."""

    step: int
    time: int
    value: float


@dataclass
class MetricHistory:
    """What a run's metrics have come to, kept in memory, so that writing one does not need the store.

    Attributes:
        last: By name, what MLflow shows: the value of the highest step, of these the latest.
        known: Name, step and value of what the run had when it was resumed.
        not_finite: Names of the metrics that had a value that is not finite.
    """

    last: dict[str, Last] = field(default_factory=dict)
    known: set[tuple[str, int, float]] = field(default_factory=set)
    not_finite: set[str] = field(default_factory=set)

    def operations(self, values: Mapping[str, float], step: int | None) -> list[Operation]:
        """What writes metrics to the run.

        MLflow would store NaN as 0 with a flag and infinity as 1.8e308, which its charts and searches then take for
        numbers. So values that are not finite are left out, and the tag `metrics.not_finite` names them. A value that
        the run has at that step already is left out too: a resumed training repeats what followed its checkpoint.

        Args:
            values: Metric name to value; numbers, or tensors and arrays of one element.
            step: The step; None for final values, which MLflow then shows as the last ones after any earlier step.
        """
        numbers = {name: float(value) for name, value in values.items()}
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        found: list[Operation] = []
        if new := (numbers.keys() - finite.keys()) - self.not_finite:
            self.not_finite |= new
            found.append(Tags(values={NOT_FINITE: ", ".join(sorted(self.not_finite))}))
        now = time.time_ns() // 1_000_000
        entries = [self._entry(name, value, step, now) for name, value in finite.items()]
        if kept := tuple(entry for entry in entries if entry is not None):
            found.append(Metrics(entries=kept))
        return found

    def next_step(self, prefix: str) -> int:
        """The step after the last one of the metrics whose names start so; 0 without any."""
        return max((last.step + 1 for name, last in self.last.items() if name.startswith(prefix)), default=0)

    def _entry(self, name: str, value: float, step: int | None, now: int) -> Entry | None:
        """The value in its place: a final one at the last step of its own history, and after it."""
        last = self.last.get(name)
        place = step if step is not None else last.step if last else 0
        if last and (last.step, last.value) == (place, value):
            return None
        if step is not None and (name, step, value) in self.known:
            return None
        at = max(now, last.time + 1) if last and step is None else now
        if last is None or (place, at) >= last[:2]:
            self.last[name] = Last(place, at, value)
        return Entry(name, value, at, place)


def read_history(store: Store, run_id: str) -> MetricHistory:
    """The history of a run that is there already."""
    data = store.client.get_run(run_id).data
    history = MetricHistory(not_finite=set(filter(None, data.tags.get(NOT_FINITE, "").split(", "))))
    for name in data.metrics:
        items = store.client.get_metric_history(run_id, name)
        history.last[name] = max(Last(item.step, item.timestamp, item.value) for item in items)
        history.known |= {(name, item.step, item.value) for item in items}
    return history
