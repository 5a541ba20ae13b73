"""What a mean square error is made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Decomposition:
    """The parts of a mean square error, SSM units squared; NaN where there are no pixels.

    MSE = (mean_p - mean_y)^2 + (sd_p - sd_y)^2 + 2 sd_p sd_y (1 - r) (Murphy 1988, doi:10.1175/1520-0493(1988)116<2417:
    SSBOTM>2.0.CO;2; Kobayashi & Salam 2000, doi:10.2134/agronj2000.922345x; Gupta et al. 2009,
    doi:10.1016/j.jhydrol.2009.08.003), p being the predictions and y the labels.

    Attributes:
        mse: Mean square error, the sum of the next three.
        bias_squared: Of the means.
        variance_mismatch: Of the standard deviations.
        correlation_part: What is left where both agree: errors of timing and of place.
        noise: Mean squared error of the best prediction that knows the noise-free backscatter.
    """

    mse: float
    bias_squared: float
    variance_mismatch: float
    correlation_part: float
    noise: float

    @property
    def reason(self) -> str:
        """Why it is not defined; empty where it is."""
        if self.mse == self.mse:
            return ""
        return "no labelled pixels" if self.noise != self.noise else "predictions are not finite"


def decompose(sums: Tensor) -> Decomposition:
    """The parts of the error on the natural distribution.

    Args:
        sums: [..., len(SUMS)]; leading dimensions are summed.
    """
    totals = sums.double().reshape(-1, sums.shape[-1]).sum(0)
    y, p, yy, pp, yp, _, squared, _, best2, best_y = (totals[1:] / totals[0]).unbind()
    noise = (yy - 2 * best_y + best2).clamp(min=0)
    # rounding leaves constant values a variance just below 0
    sd_y, sd_p = ((square - mean * mean).clamp(min=0).sqrt() for mean, square in ((y, yy), (p, pp)))
    parts = torch.stack((squared, (p - y) ** 2, (sd_p - sd_y) ** 2, 2 * (sd_p * sd_y - (yp - y * p)), noise))
    return Decomposition(*parts.tolist())
