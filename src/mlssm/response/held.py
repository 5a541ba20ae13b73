"""A training season that is held out of an extent, and what the others forecast for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Response, Seasons
from mlssm.response.correction import Moments
from mlssm.response.fitted import Fitted
from mlssm.response.folds import Fold
from mlssm.response.traits import Traits
from mlssm.scratch import in_scratch, scratch


@dataclass(frozen=True)
class Held:
    """One held-out season of one extent, forecast from the other training seasons.

    Attributes:
        times: Its dates.
        labels: By references of the other seasons [date, h, w].
        base: Forecast [date, h, w].
        response: Of the other seasons.
        traits: Of the other seasons; None without a correction.
        fitted: The extent, fitted on the other seasons.
    """

    times: Seasons
    labels: Floats
    base: Floats
    response: Response
    traits: Traits | None
    fitted: Fitted

    @classmethod
    def of(cls, fold: Fold, fitted: Fitted, response: Response, traits: Traits | None) -> Held:
        """Forecast the held-out season."""
        labels = in_scratch(fitted.found.labels(fold.held))
        base = np.broadcast_to(in_scratch(response.ssm(fitted.driver[fold.held])), labels.shape)
        return cls(np.flatnonzero(fold.held), labels, base, response, traits, fitted)

    @cached_property
    def moments(self) -> Moments:
        """Of the correction's regression; there is a correction."""
        assert self.traits is not None
        parts = []
        for driver, residual in zip(self.fitted.driver[self.times], self.labels - self.base, strict=True):
            parts += [Moments.of(features, residual[rows]) for rows, features in self.traits.in_bands(driver)]
        return Moments.total(parts)

    def forecast(self, weights: Floats) -> Floats:
        """Base and correction [date, h, w]; without weights the base."""
        if self.traits is None:
            return self.base
        found = scratch(self.base.shape, np.float64)
        for kept, base, driver in zip(found, self.base, self.fitted.driver[self.times], strict=True):
            kept[...] = self.traits.corrected(base, driver, weights)
        return found
