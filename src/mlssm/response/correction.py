"""Correction: what a base leaves, told from its pixels' traits by ridge regression on held-out seasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlssm.grid import Floats

PENALTIES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
LEAST_DEVIATION = 1e-9


@dataclass(frozen=True)
class Moments:
    """Sums over samples, all that a ridge regression needs; sums of parts add up.

    Attributes:
        count: Number of samples.
        features: Sum of the features [K].
        residual: Sum of the residuals.
        power: Sum of the residuals squared.
        squares: Sum of the features' products [K, K].
        products: Sum of features times residual [K].
    """

    count: int
    features: Floats
    residual: float
    power: float
    squares: Floats
    products: Floats

    @classmethod
    def of(cls, features: Floats, residual: Floats) -> Moments:
        """Of one date.

        Args:
            features: [K, h, w].
            residual: Label less base [h, w]; NaN where there is no label.
        """
        known = np.isfinite(residual)
        x, r = np.compress(known.ravel(), features.reshape(len(features), -1), axis=1), residual[known]
        return cls(r.size, x.sum(axis=1), float(r.sum()), float(r @ r), x @ x.T, x @ r)

    @classmethod
    def total(cls, parts: Sequence[Moments]) -> Moments:
        """All parts together; at least one."""
        names = ("count", "features", "residual", "power", "squares", "products")
        return cls(*(sum(getattr(part, name) for part in parts[1:]) + getattr(parts[0], name) for name in names))

    def squared_error(self, weights: Floats) -> float:
        """Sum of (residual - weights . features)^2 over the samples, weights [K]."""
        return float(self.power - 2 * weights @ self.products + weights @ self.squares @ weights)


def ridge(moments: Moments, penalty: float) -> Floats:
    """Weights of features [K], fitted on standardised ones; the penalty is in variances of a sample's feature.

    gamma = (C + penalty I)^-1 c, C the features' correlations and c their covariance with the residual (Hoerl & Kennard
    1970, Technometrics 12). A feature that does not vary gets 0.

    Raises:
        ValueError: There is no sample, or the penalty is not above 0.
    """
    if not moments.count or not penalty > 0:
        raise ValueError(f"ridge regression needs samples and a penalty above 0, not {moments.count} and {penalty}")
    mean = moments.features / moments.count
    covariance = moments.squares / moments.count - np.outer(mean, mean)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    varies = deviation > LEAST_DEVIATION
    scale = np.where(varies, deviation, np.inf)
    correlation = covariance / np.outer(scale, scale)
    with_residual = (moments.products / moments.count - mean * moments.residual / moments.count) / scale
    return np.asarray(np.linalg.solve(correlation + penalty * np.eye(len(mean)), with_residual) / scale)


def corrected(base: Floats, told: Floats) -> Floats:
    """clip(base + told, 0, 1), both [h, w]: what the features tell is weights . features."""
    return np.clip(base + told, 0, 1)
