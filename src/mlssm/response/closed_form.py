"""The closed form: base and correction, fitted on all training dates with what held-out training seasons chose."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Booleans, Population
from mlssm.response.extent_form import ExtentForm, FormRows
from mlssm.response.fitted import Dates, Extent, Fitted, Settings, responses, traits_of
from mlssm.response.folds import Labels
from mlssm.response.inner import Inner, choose
from mlssm.response.leverage import Leverage, LeverageRows
from mlssm.response.memory import Memory, remembered
from mlssm.response.nowcast import Earlier, Moment, date_means
from mlssm.response.rows import EVERY, MadeOfRows, Maps, Mixed, OfTimes, few_rows, kept, rows_of
from mlssm.scratch import scratch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClosedForm:
    """The closed form of all extents.

    Attributes:
        extents: In their order.
        fitted: What they were fitted on, in the same order.
        inner: What held-out training seasons chose and show.
        dates: All times.
        alike: See `mlssm.response.inner.Settings`.
    """

    extents: tuple[ExtentForm, ...]
    fitted: tuple[Fitted, ...]
    inner: Inner
    dates: Dates
    alike: float

    @classmethod
    def fit(cls, extents: Sequence[Extent], dates: Dates, training: Booleans, settings: Settings) -> ClosedForm:
        """Choose by held-out training seasons, then fit on all training dates.

        Args:
            extents: At least one.
            dates: All times.
            training: Which of them are training dates [T]; labels of others change nothing.
            settings: What may be chosen.

        Raises:
            DataError: Fewer than two training seasons have labels.
            SplitError: The training dates are of fewer than two seasons.
        """
        inner = choose(extents, dates, training, settings)
        fitted = [Fitted.of(extent, training, None, dates.seasons, settings.correlation) for extent in extents]
        forms = []
        for each, response in zip(fitted, responses(fitted, inner.own_share.value), strict=True):
            traits = traits_of(each, response, dates.seasons) if inner.penalty else None
            forms.append(ExtentForm(response, traits, inner.weights))
        chosen = inner.own_share.value, inner.penalty.value if inner.penalty else "none", inner.phi
        log.info("held-out training seasons chose own share %g, penalty %s, phi %.2f", *chosen)
        return cls(tuple(forms), tuple(fitted), inner, dates, settings.alike)

    def forecast_maps(self, extent: int) -> MadeOfRows:
        """Forecasts of an extent at all times, 0..1; of training dates out of fold."""
        held = {season: each[extent].times for season, each in self.inner.held.items()}
        others = np.setdiff1d(np.arange(len(self.dates.days)), np.concatenate(list(held.values())))
        whole = FormRows(self.extents[extent], self.fitted[extent].driver, others)
        known = [OfTimes(self.inner.forecasts[season][extent], times) for season, times in held.items()]
        return self._mixed(extent, whole, known)

    def forecasts(self, extent: int) -> Floats:
        """The same as an array [T, h, w]."""
        return self._kept(extent, self.forecast_maps(extent))

    def label_maps(self, extent: int) -> MadeOfRows:
        """Labels to compare forecasts with: those of a training season by references of the others."""
        held = [Labels(each[extent].fitted.found) for each in self.inner.held.values()]
        return self._mixed(extent, Labels(self.fitted[extent].found), held)

    def labels(self, extent: int) -> Floats:
        """The same as an array [T, h, w]."""
        return self._kept(extent, self.label_maps(extent))

    def driver_maps(self, extent: int) -> MadeOfRows:
        """An extent's driver at all times: that of a training season without its errors."""
        held = [each[extent].fitted.driver for each in self.inner.held.values()]
        return self._mixed(extent, self.fitted[extent].driver, held)

    def nowcasts(self, extent: int, forecasts: Floats, phi: float | None = None) -> Floats:
        """Forecasts with what earlier images of the same season add, 0..1 [T, h, w]; training dates as in `forecasts`.

        Args:
            extent: Which extent.
            forecasts: Its forecasts at all times [T, h, w].
            phi: Share of a carried residual that lasts; by default that which held-out training seasons show.
        """
        share, found = self.inner.phi if phi is None else phi, scratch(forecasts.shape, np.float64)
        for rows, of_rows, earlier in self.earlier(extent, forecasts):
            for time, moment in enumerate(earlier.moments):
                found[time, rows] = np.clip(of_rows[time] + share * earlier.carry(moment).mean, 0, 1)
        return found

    def earlier(self, extent: int, forecasts: Maps) -> Iterator[tuple[slice, Floats, Earlier]]:
        """An extent's images, to carry what they left of forecasts to later days: rows, their forecasts, and images."""
        labels, drivers, count = self.label_maps(extent), self.driver_maps(extent), len(self.dates.days)
        parts = few_rows(self.fitted[extent].shape, count)
        scale = self.alike * self.fitted[extent].scale
        means = date_means((rows_of(labels, EVERY, rows) - rows_of(forecasts, EVERY, rows) for rows in parts), count)
        for rows in parts:
            moments = Moment.all(self.dates.days, self.dates.seasons, rows_of(drivers, EVERY, rows))
            forecast = rows_of(forecasts, EVERY, rows)
            yield rows, forecast, Earlier.of(rows_of(labels, EVERY, rows), forecast, moments, scale, means)

    @property
    def population(self) -> Population:
        """How the mean extent responds: the forecast of an extent without labels, see `Response`."""
        return Population.of([each.fits for each in self.fitted])

    def leverage(self, extent: int) -> Leverage:
        """How far drivers lie from those of an extent's training dates."""
        fitted = self.fitted[extent]
        return Leverage.of(fitted.driver, fitted.training, fitted.shape)

    def leverage_maps(self, extent: int) -> MadeOfRows:
        """Leverage of an extent's driver at all times; training dates' among other seasons'."""
        held = [each[extent].fitted for each in self.inner.held.values()]
        parts = [
            LeverageRows(Leverage.of(each.driver, each.training, each.shape), each.driver)
            for each in (self.fitted[extent], *held)
        ]
        return self._mixed(extent, parts[0], parts[1:])

    def memory(self, extent: int) -> Memory:
        """What training dates say of an extent's pixels, without the season that it is used for."""
        without = {
            season: remembered(held[extent].fitted.found, held[extent].response, held[extent].fitted.training)
            for season, held in self.inner.held.items()
        }
        return Memory(without, self.whole_memory(extent))

    def whole_memory(self, extent: int) -> Floats:
        """What all training dates say of an extent's pixels [channel, h, w]."""
        whole = self.fitted[extent]
        return remembered(whole.found, self.extents[extent].response, whole.training)

    def _mixed(self, extent: int, whole: Maps, held: Sequence[Maps]) -> Mixed:
        """Maps of which those of a held-out season are its own."""
        source = np.zeros(len(self.dates.days), np.int64)
        for number, each in enumerate(self.inner.held.values(), 1):
            source[each[extent].times] = number
        return Mixed((whole, *held), source)

    def _kept(self, extent: int, maps: Maps) -> Floats:
        return kept(maps, len(self.dates.days), self.fitted[extent].shape)
