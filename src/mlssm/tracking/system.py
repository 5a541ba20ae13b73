"""Use of processor, memory, disk, network and GPU while a run is written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlssm.tracking.store import Store

log = logging.getLogger(__name__)

PREFIX = "system/"  # MLflow's UI shows these on a page of their own
FIRST_AFTER_S = 1.0  # the processor's use is measured from one sample to the next


@contextmanager
def system_metrics(
    store: Store, run_id: str, write: Callable[[Mapping[str, float], int], None], first_step: int, seconds: float
) -> Iterator[None]:
    """Sample in a thread while the block runs: after a second, then every `seconds`, and at the end.

    Args:
        store: The open store.
        run_id: The run.
        write: Takes the values by name and their step.
        first_step: The step of the first sample; each has the next one.
        seconds: Seconds between samples.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    # its collectors only, not its thread
    monitor: Any = SystemMetricsMonitor(run_id, tracking_uri=store.uri)  # type: ignore[no-untyped-call]
    _sample(monitor)  # what is measured between two samples starts here
    stop = threading.Event()
    thread = threading.Thread(
        target=_write_samples, args=(monitor, write, first_step, seconds, stop), daemon=True, name="system metrics"
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _write_samples(
    monitor: Any, write: Callable[[Mapping[str, float], int], None], step: int, seconds: float, stop: threading.Event
) -> None:
    from mlflow.exceptions import MlflowException

    wait = min(FIRST_AFTER_S, seconds)
    ended = False
    while not ended:
        ended = stop.wait(wait)
        try:
            write(_sample(monitor), step)
        except (MlflowException, OSError) as error:
            log.error("system metrics end here: %s", error)
            return
        step, wait = step + 1, seconds


def _sample(monitor: Any) -> dict[str, float]:
    monitor.collect_metrics()
    values = {PREFIX + name: value for name, value in monitor.aggregate_metrics().items()}
    for item in monitor.monitors:
        item.clear_metrics()
    return values
