"""How scaled residuals are distributed: a Gaussian where dates are few, a table of quantiles where they are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from mlssm.grid import Floats
from mlssm.uncertainty.quantiles import weighted_quantiles

NODES = np.linspace(0, 1, 21)  # of predicted SSM
KERNEL = 0.1  # Gaussian weight of a pixel at a node, by how far its predicted SSM lies off
LEVELS = (np.arange(200) + 0.5) / 200
MIDDLES = (np.arange(40) + 0.5) / 40  # levels whose quantiles stand for the whole distribution


class Shape(Protocol):
    """Distribution of z = (label - prediction) / deviation, given the predicted SSM, before it is clipped to 0..1."""

    def quantile(self, level: float, mean: Floats) -> Floats:
        """The z that a share `level` (0..1) falls below, of the shape of `mean` or broadcastable to it."""

    def rank(self, z: Floats, mean: Floats) -> Floats:
        """The share that falls below z, 0..1, of the shape of both."""

    def deviation(self, mean: Floats, scale: Floats) -> Floats:
        """Standard deviation of the SSM clipped to 0..1, of the shape of both."""

    def state(self) -> dict[str, Any]:
        """Arrays and strings."""


@dataclass(frozen=True)
class GaussianShape:
    """Standard normal."""

    def quantile(self, level: float, mean: Floats) -> Floats:
        """See `Shape`."""
        return np.full(np.shape(mean), ndtri(level))

    def rank(self, z: Floats, mean: Floats) -> Floats:
        """See `Shape`."""
        return np.asarray(ndtr(z))

    def deviation(self, mean: Floats, scale: Floats) -> Floats:
        """Of a Gaussian that is clipped at 0 and 1, from its moments.

        With a, b the ends scaled: E S = m (Pb - Pa) - s (pb - pa) + (1 - Pb), and
        E S^2 = (m^2 + s^2)(Pb - Pa) - s (m (pb - pa) + pb) + (1 - Pb), P the CDF and p the density (Johnson, Kotz &
        Balakrishnan 1994, Continuous Univariate Distributions 1, 13.10.1).
        """
        low, high = -mean / scale, (1 - mean) / scale
        inside, above = ndtr(high) - ndtr(low), ndtr(-high)
        at_low, at_high = _density(low), _density(high)
        first = mean * inside - scale * (at_high - at_low) + above
        second = (mean**2 + scale**2) * inside - scale * (mean * (at_high - at_low) + at_high) + above
        return np.asarray(np.sqrt(np.maximum(second - first**2, 0.0)))

    def state(self) -> dict[str, Any]:
        """See `Shape`."""
        return {"kind": "gaussian"}


def _density(z: Floats) -> Floats:
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class TableShape:
    """Quantiles of scaled residuals by predicted SSM.

    Between nodes quantiles are interpolated, level by level (Vincent 1912), so that they never cross; beyond the
    outermost levels the outermost quantiles stand.

    Attributes:
        quantiles: Of `LEVELS` at `NODES` [21, 200], rising along the second dimension.
    """

    quantiles: Floats

    @classmethod
    def fit(cls, z: Floats, mean: Floats, weights: Floats) -> TableShape:
        """Fit on scaled residuals, each node by pixels of about its SSM.

        Args:
            z: [n].
            mean: Predicted SSM [n].
            weights: [n], by which each date weighs the same.
        """
        rows = []
        for node in NODES:
            near = np.exp(-(((mean - node) / KERNEL) ** 2) / 2)
            own = weights * near
            # where nothing at all is near, the nearest there is
            own = own if own.sum() > 0 else weights * (np.abs(mean - node) == np.abs(mean - node).min())
            rows.append(weighted_quantiles(z, own, LEVELS))
        return cls(np.stack(rows))

    def quantile(self, level: float, mean: Floats) -> Floats:
        """See `Shape`."""
        below, share = _interpolation(np.clip(level, LEVELS[0], LEVELS[-1]), LEVELS)
        column = (1 - share) * self.quantiles[:, below] + share * self.quantiles[:, below + 1]
        return np.asarray(np.interp(mean, NODES, column))

    def rank(self, z: Floats, mean: Floats) -> Floats:
        """See `Shape`; the inverse of `quantile`, found by halving the levels."""
        z, mean = np.broadcast_arrays(z, mean)
        node = np.clip((mean * (len(NODES) - 1)).astype(np.int64), 0, len(NODES) - 2)
        share = np.clip(mean * (len(NODES) - 1) - node, 0, 1)

        def at(level: Any) -> Floats:
            return np.asarray((1 - share) * self.quantiles[node, level] + share * self.quantiles[node + 1, level])

        low, high = np.zeros(z.shape, np.int64), np.full(z.shape, len(LEVELS) - 1)
        for _ in range(int(np.ceil(np.log2(len(LEVELS))))):
            middle = (low + high) // 2
            under = at(middle) < z
            low, high = np.where(under, middle, low), np.where(under, high, np.maximum(middle, low + 1))
        first, last = at(low), at(high)
        gap = last - first
        within = np.clip(np.where(gap > 0, (z - first) / np.where(gap > 0, gap, 1), z >= last), 0, 1)
        return np.asarray(LEVELS[low] + within * (LEVELS[high] - LEVELS[low]))

    def deviation(self, mean: Floats, scale: Floats) -> Floats:
        """See `Shape`; of 40 quantiles, each of which stands for as much."""
        total, square = np.zeros(np.shape(mean)), np.zeros(np.shape(mean))
        for level in MIDDLES:
            value = np.clip(mean + scale * self.quantile(float(level), mean), 0, 1)
            total, square = total + value, square + value**2
        return np.asarray(np.sqrt(np.maximum(square / len(MIDDLES) - (total / len(MIDDLES)) ** 2, 0.0)))

    def state(self) -> dict[str, Any]:
        """See `Shape`."""
        return {"kind": "table", "quantiles": self.quantiles}


def restored_shape(state: Mapping[str, Any]) -> Shape:
    """From its state."""
    return TableShape(np.asarray(state["quantiles"], float)) if state["kind"] == "table" else GaussianShape()


def _interpolation(value: float, grid: Floats) -> tuple[int, float]:
    """Position of the grid's point below a value, and the share of the way to the next one."""
    below = int(np.clip(np.searchsorted(grid, value, side="right") - 1, 0, len(grid) - 2))
    return below, float((value - grid[below]) / (grid[below + 1] - grid[below]))
