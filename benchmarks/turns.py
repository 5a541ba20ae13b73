"""Times that are comparable on a busy machine: ways take turns in one process, on one thread; its own time counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch


def fastest(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least seconds of a processor for each way, in turns after one round that warms up."""
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, run in ways.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: min(found[1:]) for name, found in seconds.items()}
