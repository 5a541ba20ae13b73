"""Values that come bit by bit, of which a part is kept that tells of all of them."""

from __future__ import annotations

import numpy as np

from mlssm.sources.faults import Array

MOST = 1 << 20


class Sample:
    """Every value, where they are few; else every second, fourth, ... in the order in which they come.

    Attributes:
        total: How many came.
    """

    def __init__(self, most: int = MOST) -> None:
        """Begin with none.

        Args:
            most: How many are kept.
        """
        self.total = 0
        self._most, self._step = most, 1
        self._parts: list[tuple[Array, ...]] = []

    def add(self, *values: Array) -> None:
        """Take values [n]; where there are several, what stands at the same place of each stays together."""
        start = -self.total % self._step
        self._parts.append(tuple(np.array(each[start :: self._step]) for each in values))
        self.total += len(values[0])
        while sum(len(part[0]) for part in self._parts) > self._most:
            self._parts = [tuple(each[::2] for each in self.values())]
            self._step *= 2

    def values(self) -> tuple[Array, ...]:
        """What is kept; nothing where none came."""
        return tuple(np.concatenate(each) for each in zip(*self._parts, strict=True))
