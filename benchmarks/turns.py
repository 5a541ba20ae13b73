"""Times that are comparable on a busy machine: ways take turns in one process, and the least time of each counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def fastest(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least seconds of each way, in turns after one round that warms up; what else the machine does only adds to it."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: min(found[1:]) for name, found in seconds.items()}
