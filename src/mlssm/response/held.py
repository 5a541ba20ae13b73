"""A training season that is held out of an extent, and what the others forecast for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Response, Seasons
from mlssm.response.correction import Moments, corrected
from mlssm.response.fitted import Fitted
from mlssm.response.folds import Fold
from mlssm.response.traits import Traits


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
        labels = fitted.found.labels(fold.held)
        base = np.broadcast_to(response.ssm(fitted.driver[fold.held]), labels.shape)
        return cls(np.flatnonzero(fold.held), labels, base, response, traits, fitted)

    def _features(self) -> Iterator[Floats]:
        """The correction's features, date by date [feature, h, w]: they are too many to keep."""
        if self.traits is not None:
            yield from (self.traits.features(driver) for driver in self.fitted.driver[self.times])

    @cached_property
    def moments(self) -> Moments:
        """Of the correction's regression."""
        residual = self.labels - self.base
        return Moments.total([Moments.of(*pair) for pair in zip(self._features(), residual, strict=True)])

    def forecast(self, weights: Floats) -> Floats:
        """Base and correction [date, h, w]; without weights the base."""
        if self.traits is None:
            return self.base
        pairs = zip(self.base, self._features(), strict=True)
        return np.stack([corrected(base, features, weights) for base, features in pairs])
