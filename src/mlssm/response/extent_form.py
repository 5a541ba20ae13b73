"""The closed form of one extent, and its forecasts some rows at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.response.base import Response
from mlssm.response.correction import corrected
from mlssm.response.rows import EVERY, WHOLE, Maps, Times, fields_of, place_of, rows_of
from mlssm.response.traits import TraitPixels, Traits


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
        traits = None
        if self.traits is not None:
            traits = {**fields_of(self.traits), "relative": fields_of(self.traits.relative)}
        return {"response": fields_of(self.response), "traits": traits, "weights": self.weights}

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
        (found,) = FormRows(self, driver[None], np.array([0])).rows(EVERY, WHOLE)
        return np.asarray(found)

    def part(self, rows: slice) -> ExtentForm:
        """That of some rows."""
        traits = None if self.traits is None else self.traits.part(rows)
        return ExtentForm(self.response.rows(rows), traits, self.weights)


class FormRows:
    """Forecasts of an extent at some times, made some rows at a time; what they need of the whole is summed up once."""

    def __init__(
        self, form: ExtentForm, driver: Maps, times: npt.NDArray[np.int64], means: Floats | None = None
    ) -> None:
        """Forecasts of a form.

        Args:
            form: Of the whole extent.
            driver: At all times.
            times: Those that are forecast, in their order.
            means: Of the correction's features over the extent [time, K]; None: they are made where they are needed.
        """
        self._form, self._driver, self._times = form, driver, times
        if means is None and form.traits is not None:
            means = form.traits.sums(driver, times).mean
        self._means = means

    def rows(self, times: Times, rows: slice) -> Floats:
        """Forecasts, 0..1 [time, rows, w]."""
        place = place_of(self._times, times)
        chosen = self._times[place]
        form, driver = self._form.part(rows), rows_of(self._driver, chosen, rows)
        found = np.empty((len(chosen), *form.response.mean.shape))
        if form.traits is None or self._means is None:
            found[:] = form.response.ssm(driver)
            return found
        means = self._means[place]
        for inside in form.traits.bands(len(chosen)):
            forecast_dates(form.part(inside), rows_of(driver, EVERY, inside), means, found[:, inside])
        return found


def forecast_dates(form: ExtentForm, driver: Floats, means: Floats, found: Floats) -> None:
    """Forecast some pixels, of which `form` is, on some dates.

    Args:
        form: With a correction.
        driver: [date, rows, w], or broadcastable to it.
        means: Of the features over the whole extent [date, K].
        found: Where the forecasts are put [date, rows, w].
    """
    assert form.traits is not None
    pixels = TraitPixels(form.traits)
    for kept, each, of_date in zip(found, driver, means, strict=True):
        kept[...] = corrected(form.response.ssm(each), pixels.told(each, form.weights, of_date))
