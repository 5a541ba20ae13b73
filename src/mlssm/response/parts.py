"""The closed form of a part of an extent: its correction needs means over the whole, which are summed part by part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from mlssm.grid import Floats
from mlssm.response.base import Response
from mlssm.response.extent_form import ExtentForm
from mlssm.response.forecaster import ExtentForecaster
from mlssm.response.leverage import Leverage
from mlssm.response.traits import FeatureSums, TraitPixels


class PartForm:
    """Base and correction of some of an extent's pixels."""

    def __init__(self, form: ExtentForm) -> None:
        """Add up what no day changes; `form` has these pixels alone, see `cropped`."""
        self._form = form

    @property
    def corrects(self) -> bool:
        """Whether there is a correction, for which the extent's means have to be known."""
        return self._form.traits is not None

    @cached_property
    def _pixels(self) -> TraitPixels:
        assert self._form.traits is not None
        return TraitPixels(self._form.traits)

    def sums(self, driver: Floats) -> FeatureSums:
        """Of the features on some days; `driver` [D, h, w], or broadcastable to it."""
        return self._pixels.sums(driver)

    def forecast(self, driver: Floats, means: Floats | None) -> Floats:
        """Forecast, 0..1 [h, w].

        Args:
            driver: Of a day [h, w], or broadcastable to it.
            means: Of the features over the whole extent on that day [K]; None where nothing is corrected.
        """
        base = self._form.base(driver)
        if not self.corrects:
            return base
        assert means is not None
        base += self._pixels.told(driver, self._form.weights, means)
        return np.clip(base, 0, 1, out=base)


def cropped(extent: ExtentForecaster, rows: slice, cols: slice) -> ExtentForecaster:
    """The closed form of a part of an extent's pixels."""

    def crop(values: Any) -> Any:
        # what is one for all pixels stays so
        return values if values.shape[-2:] == (1, 1) else values[..., rows, cols]

    form, leverage, bank = extent.form, extent.leverage, extent.bank
    traits = form.traits
    if traits is not None:
        traits = replace(traits, relative=_response(traits.relative, crop), noise=crop(traits.noise))
        traits = replace(traits, fixed=crop(traits.fixed))
    return replace(
        extent,
        form=ExtentForm(_response(form.response, crop), traits, form.weights),
        bank=None if bank is None else replace(bank, weights=crop(bank.weights)),
        memory=crop(extent.memory),
        leverage=None if leverage is None else Leverage(leverage.count, crop(leverage.centre), crop(leverage.spread)),
    )


def _response(response: Response, crop: Callable[[Any], Any]) -> Response:
    return Response(crop(response.mean), crop(response.slope), crop(response.centre))
