"""Intervals that are wide enough whatever the residuals look like, if dates are exchangeable: for warnings.

Hierarchical conformal prediction (Dunn, Wasserman & Ramdas 2023, J. Am. Stat. Assoc. 118; Lee, Barber & Willett 2023,
arXiv:2306.06342): of K held-out dates each weighs 1 / (K + 1), and the date to come the rest, whose residuals may be of
any size. So the half width is the date-weighted quantile of |r| / sqrt(v) at level (K + 1) / K, and without an end
where that passes 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlssm.grid import Floats
from mlssm.uncertainty.quantiles import weighted_quantiles

# the outermost count most here: the last is the largest residual of all
SIZES = np.concatenate([np.linspace(0, 0.9, 91), np.linspace(0.901, 1, 100)])


@dataclass(frozen=True)
class Conservative:
    """How large scaled residuals are.

    Attributes:
        sizes: Date-weighted quantiles of |z| at `SIZES`.
        dates: K, those that they are of.
    """

    sizes: Floats
    dates: int

    @classmethod
    def fit(cls, z: Floats, weights: Floats, dates: int) -> Conservative:
        """From scaled residuals [n] and weights by which each date weighs the same [n]."""
        return cls(weighted_quantiles(np.abs(z), weights, SIZES), dates)

    def half_width(self, level: float) -> float:
        """Deviations to either side of the prediction; infinite where so few dates cannot tell."""
        wanted = level * (self.dates + 1) / self.dates
        if wanted > 1 + 1e-12:
            return math.inf
        # the next larger one that is kept
        return float(self.sizes[min(int(np.searchsorted(SIZES, wanted - 1e-12)), len(SIZES) - 1)])

    def state(self) -> dict[str, Any]:
        """Arrays and numbers."""
        return {"sizes": self.sizes, "dates": self.dates}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Conservative:
        """From its state."""
        return cls(np.asarray(state["sizes"], float), int(state["dates"]))
