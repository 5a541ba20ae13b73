"""The closed form of a part of an extent: its correction needs means over the whole, which are summed part by part.

The correction is linear in its features less their means over the extent on the day, see `mlssm.response.traits`. Of
these features two depend on the day, all others are a fixed trait, or one times the driver's anomaly: with weights w,
w . features = w0 E + w1 C + A + a (v0 E + v1 C + B), where A and B are sums of fixed traits that are made once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.response.base import Response
from mlssm.response.closed_form import ExtentForm
from mlssm.response.forecaster import ExtentForecaster
from mlssm.response.leverage import Leverage
from mlssm.response.traits import Traits, expected_clipped


@dataclass(frozen=True)
class FeatureSums:
    """Sums of the correction's features over pixels that have them; sums of parts add up.

    Attributes:
        total: By day [D, K].
        count: Number of pixels that have each [K].
    """

    total: Floats
    count: Floats

    def __add__(self, other: FeatureSums) -> FeatureSums:
        """Of both parts."""
        return FeatureSums(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> Floats:
        """By day [D, K]; 0 where no pixel has a feature."""
        return np.asarray(self.total / np.maximum(self.count, 1))


class PartForm:
    """Base and correction of some of an extent's pixels."""

    def __init__(self, form: ExtentForm) -> None:
        """Add up what no day changes; `form` has these pixels alone, see `cropped`."""
        self._form = form
        self._shape = form.response.mean.shape

    @property
    def corrects(self) -> bool:
        """Whether there is a correction, for which the extent's means have to be known."""
        return self._form.traits is not None

    def sums(self, driver: Floats) -> FeatureSums:
        """Of the features on some days; `driver` [D, h, w], or broadcastable to it."""
        days = [self._of_day(each) for each in driver]
        total = [np.concatenate([each.plain, each.plain_by_anomaly]) for each in days]
        return FeatureSums(np.stack(total), self._count)

    def forecast(self, driver: Floats, means: Floats | None) -> Floats:
        """Forecast, 0..1 [h, w].

        Args:
            driver: Of a day [h, w], or broadcastable to it.
            means: Of the features over the whole extent on that day [K]; None where nothing is corrected.
        """
        base = self._form.response.ssm(driver)
        if not self.corrects:
            return np.array(np.broadcast_to(base, self._shape))
        assert means is not None
        day, (w, v) = self._of_day(driver), self._weights
        fixed, by_anomaly = self._fixed_terms
        told = w[0] * day.expected + w[1] * day.clipped + fixed
        told += day.anomaly * (v[0] * day.expected + v[1] * day.clipped + by_anomaly)
        patterns, number = self._patterns
        offset = patterns @ (self._form.weights * means)
        return np.asarray(np.clip(base + told - offset[number], 0, 1))

    @cached_property
    def _traits(self) -> Traits:
        assert self._form.traits is not None
        return self._form.traits

    @cached_property
    def _weights(self) -> tuple[Floats, Floats]:
        """Of the traits, and of the traits times the anomaly."""
        half = len(self._form.weights) // 2
        return self._form.weights[:half], self._form.weights[half:]

    @cached_property
    def _fixed(self) -> Floats:
        """Fixed traits, 0 where unknown [trait, P]."""
        fixed = self._traits.fixed.reshape(len(self._traits.fixed), -1)
        return np.where(np.isfinite(fixed), fixed, 0.0)

    @cached_property
    def _fixed_terms(self) -> tuple[Floats, Floats]:
        """A and B [h, w]."""
        w, v = (part[2:] @ self._fixed for part in self._weights)
        return w.reshape(self._shape), v.reshape(self._shape)

    @cached_property
    def _known(self) -> npt.NDArray[np.bool_]:
        """Which of the traits, and of the traits times the anomaly, each pixel has [K, h, w]."""
        traits, relative = self._traits, self._traits.relative
        mean = np.isfinite(relative.mean) & np.isfinite(relative.slope) & np.isfinite(relative.centre)
        plain = np.stack([mean & np.isfinite(traits.noise), mean, *np.isfinite(traits.fixed)])
        return np.concatenate([plain, plain & np.isfinite(relative.centre)])

    @cached_property
    def _count(self) -> Floats:
        return np.asarray(self._known.sum(axis=(1, 2)), float)

    @cached_property
    def _patterns(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
        """What kinds of pixels there are, by what they lack [kind, K], and the kind of each pixel [h, w]."""
        packed = np.packbits(self._known.reshape(len(self._known), -1), axis=0)
        _, first, number = np.unique(packed, axis=1, return_index=True, return_inverse=True)
        return self._known.reshape(len(self._known), -1)[:, first].T, number.reshape(self._shape)

    def _of_day(self, driver: Floats) -> _Day:
        traits, known = self._traits, self._known
        mean = traits.relative.linear(driver)
        expected = np.where(known[0], expected_clipped(mean, traits.noise), 0.0)
        clipped = np.where(known[1], np.clip(mean, 0, 1), 0.0)
        anomaly = np.where(np.isfinite(traits.relative.centre), driver - traits.relative.centre, 0.0)
        return _Day(expected, clipped, anomaly, self._fixed)


@dataclass(frozen=True)
class _Day:
    """What depends on the day, 0 where unknown, each [h, w], and the fixed traits [trait, P]."""

    expected: Floats
    clipped: Floats
    anomaly: Floats
    fixed: Floats

    @property
    def plain(self) -> Floats:
        """Sums of the traits."""
        return np.array([self.expected.sum(), self.clipped.sum(), *self.fixed.sum(axis=1)])

    @property
    def plain_by_anomaly(self) -> Floats:
        """Sums of the traits times the anomaly."""
        anomaly = self.anomaly.ravel()
        of_day = [float(each.ravel() @ anomaly) for each in (self.expected, self.clipped)]
        return np.array([*of_day, *(self.fixed @ anomaly)])


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
