"""How far off a prediction may be: a variance told from what is known of the pixel and the day.

v = b0 + b1 4 m (1 - m) + b2 (3 dB / span)^2 + b3 min(leverage, 1) [+ b4 spread^2], m the predicted SSM: most errors are
made half way between dry and wet, where wet - dry is small, and where the driver is unlike any that was seen. All b are
0 or more: non-negative least squares on squared residuals (Lawson & Hanson 1974, Solving Least Squares Problems, 23),
reweighted by 1 / v, as a squared residual's own deviation grows with v. Each date weighs the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from mlssm.grid import Floats
from mlssm.scores import AnyFloats
from mlssm.uncertainty.held_out import Sample

REFERENCE_SPAN_DB = 3.0
# below it a span says little but its own noise, and its inverse square would rule the fit
LEAST_SPAN_DB = 1.0
REWEIGHTINGS = 3
LEAST_SHARE = 0.2  # of the mean squared residual, below which no variance falls


@dataclass(frozen=True)
class Scale:
    """The standard deviation of a label around its prediction.

    Attributes:
        constant: b0, SSM^2.
        wetness: b1.
        span: b2.
        leverage: b3.
        spread: b4; 0 where the network states no spread.
        least: Variance below which none falls, SSM^2.
        factor: By which the variance is multiplied, so that the mean of r^2 / v is 1.
        usual_span: Mean of (3 dB / span)^2 of the dates that it was fitted on, where a span is not known.
        usual_leverage: Mean of min(leverage, 1), where a leverage is not known.
        usual_spread: Mean of spread^2.
    """

    constant: float
    wetness: float
    span: float
    leverage: float
    spread: float
    least: float
    factor: float
    usual_span: float
    usual_leverage: float
    usual_spread: float

    @classmethod
    def fit(cls, sample: Sample) -> Scale:
        """Fit on held-out dates.

        Raises:
            ValueError: There is no pixel, or all residuals are 0.
        """
        weights, squares = sample.weights, sample.residual**2
        mean_square = float(weights @ squares)
        if not mean_square > 0:
            raise ValueError("a scale needs residuals")
        usual = [_usual(weights, values) for values in _terms(sample.span, sample.leverage, sample.spread)]
        terms = _columns(sample.mean, sample.span, sample.leverage, sample.spread, usual)
        least = LEAST_SHARE * mean_square
        variance = np.full(len(squares), mean_square)
        coefficients = np.zeros(terms.shape[1])
        for _ in range(1 + REWEIGHTINGS):
            root = np.sqrt(weights) / variance
            # n rows become as many as there are terms: the squares are the same
            triangle = np.asarray(np.linalg.qr(np.column_stack([terms, squares]) * root[:, None], mode="r"))
            coefficients = nnls(triangle[:, :-1], triangle[:, -1])[0]
            variance = np.maximum(terms @ coefficients, least)
        factor = float(weights @ (squares / variance))
        return cls(*(float(each) for each in (*coefficients, least, factor, *usual)))

    def state(self) -> dict[str, Any]:
        """Numbers by name."""
        return asdict(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Scale:
        """From its state."""
        return cls(**{name: float(value) for name, value in state.items()})

    def deviation(
        self, mean: AnyFloats, span: AnyFloats, leverage: AnyFloats, spread: AnyFloats | None = None
    ) -> Floats:
        """Standard deviation, SSM units, of the shape that the arguments have together.

        Args:
            mean: Predicted SSM, 0..1.
            span: wet - dry, dB; NaN: that of the usual pixel.
            leverage: Of the driver; NaN: the usual one.
            spread: Of the network, SSM units; None or NaN: the usual one.
        """
        shape = np.broadcast_shapes(*(np.shape(part) for part in (mean, span, leverage, spread) if part is not None))
        flat = [np.broadcast_to(part, shape).astype(float).ravel() for part in (mean, span, leverage)]
        own = None if spread is None else np.broadcast_to(spread, shape).astype(float).ravel()
        usual = [self.usual_span, self.usual_leverage, self.usual_spread]
        terms = _columns(flat[0], flat[1], flat[2], own, usual)
        coefficients = np.array([self.constant, self.wetness, self.span, self.leverage, self.spread])
        variance = self.factor * np.maximum(terms @ coefficients, self.least)
        return np.asarray(np.sqrt(variance).reshape(shape))


def _terms(span: Floats, leverage: Floats, spread: Floats | None) -> tuple[Floats, Floats, Floats]:
    """The variance's terms that may not be known, each [n]; NaN there."""
    own = np.full_like(span, np.nan) if spread is None else spread**2
    return (REFERENCE_SPAN_DB / np.maximum(span, LEAST_SPAN_DB)) ** 2, np.minimum(leverage, 1.0), own


def _usual(weights: Floats, values: Floats) -> float:
    known = np.isfinite(values)
    total = weights[known].sum()
    return float(weights[known] @ values[known] / total) if total > 0 else 0.0


def _columns(mean: Floats, span: Floats, leverage: Floats, spread: Floats | None, usual: list[float]) -> Floats:
    """The terms [n, 5]: where one is not known it is the usual one, which is 0 where none ever was."""
    terms = _terms(span, leverage, spread)
    filled = [np.where(np.isfinite(each), each, instead) for each, instead in zip(terms, usual, strict=True)]
    return np.column_stack([np.ones_like(mean), 4 * mean * (1 - mean), *filled])
