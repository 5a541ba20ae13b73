"""Interpolation weights that are kept: they depend on the place and on which stations have a value, not on the day."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Protocol, TypeVar

# a 20 x 20 patch takes 20 kB for each set of stations that has values, so that some 6000 are kept
CAPACITY = 128 * 2**20
# no single entry takes more than this share of it: the weights of a whole extent are not kept
LARGEST_SHARE = 1 / 16


class Sized(Protocol):
    """What is kept."""

    @property
    def nbytes(self) -> int:
        """Memory, bytes."""


Made = TypeVar("Made", bound=Sized)


class WeightCache:
    """The weights that were asked for last, in a bounded memory. Each process has its own, which its threads share."""

    def __init__(self, capacity: int = CAPACITY, largest_share: float = LARGEST_SHARE) -> None:
        """Start empty.

        Args:
            capacity: Memory of all weights, bytes; 0 keeps none.
            largest_share: Of it, that a single entry takes at most, 0..1.
        """
        self.capacity, self.largest_share, self.nbytes = capacity, largest_share, 0
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What a key stands for, made if it is not there."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                found: Made = self._found[key]
                return found
        made = make()
        if made.nbytes <= self.capacity * self.largest_share:
            with self._lock:
                self._keep(key, made)
        return made

    def _keep(self, key: Hashable, made: Sized) -> None:
        if key in self._found:  # another thread was faster
            return
        self._found[key] = made
        self.nbytes += made.nbytes
        while self.nbytes > self.capacity:
            self.nbytes -= self._found.popitem(last=False)[1].nbytes

    def __len__(self) -> int:
        """How many weights are kept."""
        return len(self._found)

    def __reduce__(self) -> tuple[type[WeightCache], tuple[int, float]]:
        """A worker process starts with an empty one."""
        return WeightCache, (self.capacity, self.largest_share)
