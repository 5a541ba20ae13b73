"""How many pixels have which level: a histogram in steps of 0.01 dB, which grows block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlssm.sources.faults import Array

STEP = 0.01  # dB
ZERO = 32768  # the bin of 0 dB


class Decibels:
    """Levels from -327.67 to 327.67 dB; what lies beyond counts at the ends."""

    def __init__(self) -> None:
        """Begin with no pixel."""
        self._by_bits = np.zeros(2 * ZERO, np.int64)  # the negative ones last, as unsigned numbers order them

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Pixels of each step from -327.68 dB on."""
        return np.roll(self._by_bits, ZERO)

    @property
    def total(self) -> int:
        """How many pixels."""
        return int(self._by_bits.sum())

    def add(self, steps: npt.NDArray[np.int16], weight: int = 1) -> None:
        """Add levels in steps of 0.01 dB, each `weight` times; -32768 stands for none."""
        found = np.bincount(steps.ravel().view(np.uint16), minlength=2 * ZERO)
        found[ZERO] = 0  # -32768 as an unsigned number
        self._by_bits += weight * found

    def add_levels(self, level: Array, weight: int = 1) -> None:
        """Add levels in dB, float32, each `weight` times; all finite."""
        self.add(np.rint(np.clip(level, -327.67, 327.67) * np.float32(1 / STEP)).astype(np.int16), weight)

    def quantiles(self, *shares: float) -> list[float]:
        """The levels below which these shares of the pixels lie, dB, to a step; NaN where there are none."""
        return [found - ZERO * STEP for found in _quantiles(self.counts, shares)]

    def magnitude(self, share: float) -> float:
        """The same of the levels' absolute values, dB."""
        counts = self.counts
        above, below = counts[ZERO + 1 :], counts[1:ZERO][::-1]
        (found,) = _quantiles(np.concatenate([counts[ZERO : ZERO + 1], above + below]), (share,))
        return found

    def between(self, low: float, high: float) -> int:
        """How many pixels lie between two levels, dB, the ends left out."""
        first, last = int(np.floor(low / STEP + 1e-6)) + 1, int(np.ceil(high / STEP - 1e-6))
        first, last = (min(max(step, -ZERO), ZERO) for step in (first, last))
        below = self._by_bits[2 * ZERO + min(first, 0) : 2 * ZERO + min(last, 0)]
        return int(below.sum() + self._by_bits[max(first, 0) : max(last, 0)].sum())


def _quantiles(counts: npt.NDArray[np.int64], shares: Sequence[float]) -> list[float]:
    """The middle of the bin that has each, dB from the first one; halfway between two where it falls between them."""
    above = np.cumsum(counts)
    if not above[-1]:
        return [float("nan") for _ in shares]
    wanted = np.maximum(np.array(shares) * float(above[-1]), 0.5)
    first = np.searchsorted(above, wanted, "left")
    second = np.where(wanted < above[-1], np.searchsorted(above, wanted, "right"), first)
    return [float(step) for step in (first + second) / 2 * STEP]
