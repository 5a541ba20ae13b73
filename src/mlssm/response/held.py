"""A training season that is held out of an extent, and what the others forecast for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Response, Seasons
from mlssm.response.correction import Moments
from mlssm.response.extent_form import ExtentForm, FormRows
from mlssm.response.fitted import Fitted
from mlssm.response.folds import Fold
from mlssm.response.rows import EVERY, few_rows, fill, over_rows, rows_of
from mlssm.response.traits import TraitPixels, Traits
from mlssm.scratch import scratch


@dataclass(frozen=True)
class Held:
    """One held-out season of one extent, forecast from the other training seasons.

    Attributes:
        times: Its dates.
        response: Of the other seasons.
        traits: Of the other seasons; None without a correction.
        fitted: The extent, fitted on the other seasons.
    """

    times: Seasons
    response: Response
    traits: Traits | None
    fitted: Fitted

    @classmethod
    def of(cls, fold: Fold, fitted: Fitted, response: Response, traits: Traits | None) -> Held:
        """The dates that are held out."""
        return cls(np.flatnonzero(fold.held), response, traits, fitted)

    def labels(self, rows: slice) -> Floats:
        """By references of the other seasons [date, rows, w]."""
        return self.fitted.found.labels(self.times, rows)

    def base(self, rows: slice) -> Floats:
        """Forecast without correction [date, rows, w]."""
        driver = rows_of(self.fitted.driver, self.times, rows)
        shape = len(self.times), *self.fitted.found.span[rows].shape
        return np.array(np.broadcast_to(self.response.rows(rows).ssm(driver), shape))

    @cached_property
    def means(self) -> Floats | None:
        """Of the correction's features over the extent, by date [date, K]; None without a correction."""
        return None if self.traits is None else self.traits.sums(self.fitted.driver, self.times).mean

    @cached_property
    def moments(self) -> Moments:
        """Of the correction's regression; there is a correction."""
        assert self.traits is not None
        assert self.means is not None
        traits, means = self.traits, self.means

        def of_rows(rows: slice) -> list[Moments]:
            pixels = TraitPixels(traits.part(rows))
            residual, driver = self.labels(rows) - self.base(rows), rows_of(self.fitted.driver, self.times, rows)
            dates = zip(residual, driver, means, strict=True)
            return [Moments.of(pixels.features(each, of_date), left) for left, each, of_date in dates]

        total: list[Moments] = []
        for parts in over_rows(of_rows, traits.bands(len(self.times))):
            total = [Moments.total([*total, *parts])]
        return total[0]

    def forecast(self, weights: Floats) -> Floats:
        """Base and correction [date, h, w]; without a correction the base."""
        found: Floats = scratch((len(self.times), *self.fitted.shape), np.float64)
        form = ExtentForm(self.response, self.traits, weights)
        forecasts = FormRows(form, self.fitted.driver, self.times, self.means)
        fill(found, lambda rows: forecasts.rows(EVERY, rows), few_rows(self.fitted.shape, len(self.times)))
        return found
