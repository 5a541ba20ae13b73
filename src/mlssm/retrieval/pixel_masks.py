"""Which pixels have no label on any date of an orbit, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.retrieval.noise import Speckle, speckle_variance_db
from mlssm.retrieval.reasons import Flags, Reason, mark
from mlssm.retrieval.references import References

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LeastSpan:
    """How far apart references have to be: by a fixed distance, and by what speckle leaves of a date's backscatter.

    With wet - dry of 4.65 standard deviations, half of a label's variance is that of the backscatter without speckle:
    1 - (3.29 s / span)^2 = 0.5, where 3.29 s is the distance between the 5th and 95th percentile of speckle alone.

    Attributes:
        config: The distance, and the number of standard deviations.
        speckle: Of the cube's pixels in one polarisation; None where none is asked for.
        window: Cube pixels along the multilook window.
        squared_weights: Share of one polarisation's speckle variance that the channel has.
    """

    config: RetrievalConfig
    speckle: Speckle | None
    window: int
    squared_weights: float

    def of(self, count: npt.NDArray[np.integer[Any]]) -> Floats | float:
        """The least wet - dry, dB, [height, width].

        Args:
            count: How many of the cube's pixels each value averages, [time, height, width].
        """
        if self.speckle is None or self.config.min_sensitivity_speckle == 0:
            return self.config.min_sensitivity_db
        there = count > 0
        mean = count.sum(axis=0, dtype=float) / np.maximum(there.sum(axis=0), 1)
        known, place = np.unique(mean, return_inverse=True)
        variance = speckle_variance_db(self.speckle.sample_looks(self.window, np.maximum(known, 1)))
        spread = np.sqrt(self.squared_weights * variance)[place].reshape(mean.shape)
        return np.asarray(np.maximum(self.config.min_sensitivity_db, self.config.min_sensitivity_speckle * spread))


def pixel_reasons(
    references: References, least_span: Floats | float, config: RetrievalConfig, ratio: Floats | None = None
) -> Flags:
    """Why pixels have no label, flags of `Reason`, uint16 [height, width]; 0 where they have.

    Args:
        references: Fitted on training dates; their mean tells water from land.
        least_span: See `LeastSpan`.
        config: The other thresholds.
        ratio: Mean VH - VV, dB, [height, width]; None where dense forest is not looked for.
    """
    span, mean = references.sensitivity, references.mean
    found = np.zeros(span.shape, np.uint16)
    mark(found, np.isnan(mean), Reason.NOT_MEASURED)
    few = np.isnan(span)
    mark(found, few & ~np.isnan(mean), Reason.FEW_DATES)
    # a pixel that never changes does not respond
    mark(found, ~few & ~((span >= least_span) & (span > 0)), Reason.LOW_SENSITIVITY)
    mark(found, mean <= config.water_below_db, Reason.WATER)
    if config.double_bounce_above_db is not None:
        mark(found, mean >= config.double_bounce_above_db, Reason.DOUBLE_BOUNCE)
    if ratio is not None and config.forest_above_db is not None:
        mark(found, ratio >= config.forest_above_db, Reason.DENSE_FOREST)
    return found
