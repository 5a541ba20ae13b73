"""Dated images of an extent: the latest one before a day, and gaps in it from earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlssm.cube import FILL, unpack
from mlssm.scratch import scratch

Array = npt.NDArray[np.float32]
Days = npt.NDArray[np.datetime64]
Stored = npt.NDArray[np.int16] | Array


def latest_before(days: Days, images: Days) -> npt.NDArray[np.int64]:
    """Index of the latest of the sorted `images` before each day; -1 where there is none."""
    return np.searchsorted(images, days, side="left").astype(np.int64) - 1


@dataclass(frozen=True)
class DatedLayer:
    """The images of one quantity on an extent.

    Attributes:
        days: Day of each image, sorted, datetime64[D], [image].
        stored: Values, [image, height, width]: int16 as packed by `scale`, or float32 where that is None.
        scale: Step of the int16.
        lags: How many days older than its image each value is, as it fills a gap; None where all are their image's own.
    """

    days: Days
    stored: Stored
    scale: float | None = None
    lags: npt.NDArray[np.uint16] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = self.stored.shape[1:]
        return int(height), int(width)

    def image(self, day: np.datetime64) -> int:
        """The latest image before a day; -1 where there is none."""
        return int(latest_before(np.array([day], "datetime64[D]"), self.days)[0])

    def values(self, image: int, rows: slice = slice(None), cols: slice = slice(None)) -> Array:
        """One image; NaN where missing, and everywhere if `image` is -1."""
        if image < 0:
            return np.full(self.shape, np.nan, np.float32)[rows, cols]
        stored = self.stored[image, rows, cols]
        return (
            np.asarray(stored, np.float32)
            if self.scale is None
            else unpack(stored.astype(np.int16, copy=False), self.scale)
        )

    def at(self, day: np.datetime64, rows: slice = slice(None), cols: slice = slice(None)) -> Array:
        """The values known before a day."""
        return self.values(self.image(day), rows, cols)

    def age(self, day: np.datetime64, rows: slice = slice(None), cols: slice = slice(None)) -> Array:
        """How many days before a day its values were taken; NaN where there is none."""
        image = self.image(day)
        known = np.isfinite(self.values(image, rows, cols))
        since = np.float32((day - self.days[image]) / np.timedelta64(1, "D")) if image >= 0 else np.float32(np.nan)
        lag = 0 if self.lags is None or image < 0 else self.lags[image, rows, cols]
        return np.where(known, since + lag, np.nan).astype(np.float32)


def filled_from_the_past(layer: DatedLayer, most_days: int) -> DatedLayer:
    """A layer whose gaps have the latest earlier value of their pixel, as far as that is not too old.

    Args:
        layer: As measured.
        most_days: How much older than its image a value may be.
    """
    missing = (lambda values: values == FILL) if layer.scale is not None else np.isnan
    if most_days <= 0 or not any(missing(image).any() for image in layer.stored):
        return layer
    stored, lags = scratch(layer.stored.shape, layer.stored.dtype), scratch(layer.stored.shape, np.uint16)
    stored[...] = layer.stored
    steps = np.diff(layer.days).astype("timedelta64[D]").astype(np.int64)
    for image, step in enumerate(steps, 1):
        _fill(stored, lags, image, int(step), most_days, missing)
    return DatedLayer(layer.days, stored, layer.scale, lags)


def _fill(
    stored: Stored,
    lags: npt.NDArray[np.uint16],
    image: int,
    step: int,
    most_days: int,
    missing: Callable[[Stored], npt.NDArray[np.bool_]],
) -> None:
    """Fill one image from the one before, which is filled already."""
    older = lags[image - 1].astype(np.int64) + step
    from_before = missing(stored[image]) & ~missing(stored[image - 1]) & (older <= most_days)
    stored[image][from_before] = stored[image - 1][from_before]
    lags[image][from_before] = older[from_before]
