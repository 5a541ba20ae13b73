"""Weights that are kept, while several threads ask for them."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlssm.weather.interpolation import PixelWeights
from mlssm.weather.weight_cache import WeightCache

MADE = PixelWeights(np.arange(2), np.ones((2, 6)), np.zeros(6))


def make() -> PixelWeights:
    time.sleep(0)  # another thread may come in between
    return MADE


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_share_one_memory_that_stays_bounded(hasty: None) -> None:
    cache = WeightCache(20 * MADE.nbytes)

    def ask(number: int) -> bool:
        return all(cache.find((number * step) % 30, make) is MADE for step in range(300))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(40)))
    assert cache.nbytes == len(cache) * MADE.nbytes <= cache.capacity
