"""The closed form: base and correction, fitted on all training dates with what held-out training seasons chose."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Booleans, Population, Response
from mlssm.response.fitted import Dates, Extent, Fitted, Settings, responses, traits_of
from mlssm.response.inner import Inner, choose
from mlssm.response.leverage import Leverage
from mlssm.response.memory import Memory, remembered
from mlssm.response.nowcast import Earlier, Moment
from mlssm.response.traits import Traits
from mlssm.scratch import scratch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtentForm:
    """The closed form of one extent.

    Attributes:
        response: Base.
        traits: What the correction is told from; None without one.
        weights: Of the correction's features [K]; empty without one.
    """

    response: Response
    traits: Traits | None
    weights: Floats

    def state(self) -> dict[str, Any]:
        """Arrays, strings and dictionaries of these: what a bundle keeps."""
        return asdict(self)

    @classmethod
    def restored(cls, state: dict[str, Any]) -> ExtentForm:
        """From its state."""
        response, traits = Response(**state["response"]), state["traits"]
        if traits is not None:
            relative, names = Response(**traits["relative"]), tuple(traits["names"])
            traits = Traits(relative, traits["noise"], traits["fixed"], names)
        return cls(response, traits, state["weights"])

    def base(self, driver: Floats) -> Floats:
        """Forecast without correction, 0..1 [h, w], at a driver [h, w] or broadcastable to it."""
        return np.array(np.broadcast_to(self.response.ssm(driver), self.response.mean.shape))

    def forecast(self, driver: Floats) -> Floats:
        """Forecast, 0..1 [h, w], at a driver [h, w] or broadcastable to it."""
        if self.traits is None:
            return self.base(driver)
        return self.traits.corrected(self.base(driver), driver, self.weights)


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

    def forecasts(self, extent: int) -> Floats:
        """Forecasts of an extent at all times, 0..1 [T, h, w]; of training dates out of fold."""
        form, drivers = self.extents[extent], self.fitted[extent].driver
        found = scratch((len(drivers), *form.response.mean.shape), np.float64)
        for time, driver in enumerate(drivers):
            found[time] = form.forecast(driver)
        for season, held in self.inner.held.items():
            found[held[extent].times] = self.inner.forecasts[season][extent]
        return found

    def nowcasts(self, extent: int, forecasts: Floats, phi: float | None = None) -> Floats:
        """Forecasts with what earlier images of the same season add, 0..1 [T, h, w]; training dates as in `forecasts`.

        Args:
            extent: Which extent.
            forecasts: Its forecasts at all times [T, h, w].
            phi: Share of a carried residual that lasts; by default that which held-out training seasons show.
        """
        share, earlier = self.inner.phi if phi is None else phi, self.earlier(extent, forecasts)
        pairs = zip(forecasts, earlier.moments, strict=True)
        return np.stack([np.clip(each + share * earlier.carry(moment).mean, 0, 1) for each, moment in pairs])

    def earlier(self, extent: int, forecasts: Floats) -> Earlier:
        """An extent's images, to carry what they left of `forecasts` [T, h, w] to later days."""
        drivers = np.array(np.broadcast_to(self.fitted[extent].driver, forecasts.shape))
        for held in self.inner.held.values():
            drivers[held[extent].times] = held[extent].fitted.driver[held[extent].times]
        moments = Moment.all(self.dates.days, self.dates.seasons, drivers)
        return Earlier.of(self.labels(extent), forecasts, moments, self.alike * self.fitted[extent].scale)

    @property
    def population(self) -> Population:
        """How the mean extent responds: the forecast of an extent without labels, see `Response`."""
        return Population.of([each.fits for each in self.fitted])

    def labels(self, extent: int) -> Floats:
        """Labels to compare `forecasts` with [T, h, w]: those of a training season by references of the others."""
        relative = self.fitted[extent].found.relative
        found = scratch(relative.shape, np.float64)
        for time, of_time in enumerate(relative):
            found[time] = np.clip(of_time, 0, 1)
        for held in self.inner.held.values():
            found[held[extent].times] = held[extent].labels
        return found

    def leverage(self, extent: int) -> Leverage:
        """How far drivers lie from those of an extent's training dates."""
        return Leverage.of(self.fitted[extent].driver, self.fitted[extent].training)

    def leverages(self, extent: int) -> Floats:
        """Leverage of an extent's driver at all times [T, h, w] or [T, 1, 1]; training dates' among other seasons'."""
        found = self.leverage(extent).at(self.fitted[extent].driver)
        for held in self.inner.held.values():
            each, times = held[extent].fitted, held[extent].times
            found[times] = Leverage.of(each.driver, each.training).at(each.driver[times])
        return found

    def memory(self, extent: int) -> Memory:
        """What training dates say of an extent's pixels, without the season that it is used for."""
        without = {
            season: remembered(held[extent].fitted.found, held[extent].response, held[extent].fitted.training)
            for season, held in self.inner.held.items()
        }
        whole = self.fitted[extent]
        return Memory(without, remembered(whole.found, self.extents[extent].response, whole.training))
