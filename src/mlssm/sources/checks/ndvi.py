"""NDVI: -1..1, scaled as its file says, without constants that stand for "missing"."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.sources.checks.header import Band, Kind, Layer, find_band
from mlssm.sources.faults import Array, BadFiles, Limits
from mlssm.sources.sample import Sample

# a float's rounding past the ends is no error
NDVI = Limits(
    "NDVI",
    -1.0001,
    1.0001,
    "declare its scale (`gdal_edit.py -scale 0.0001` where it is stored times 10000), or its missing value",
)
KIND = Kind("NDVI", r"ndvi|vegetation")
# one value in this share of an image, apart from all others by this, is no measurement
SPIKE_SHARE, SPIKE_GAP = 0.01, 0.02
# a distribution that can be judged has this many values
DISTINCT = 20
# an image that reaches no further from zero was scaled twice
FLAT = 0.02


class Scaling(Protocol):
    """How stored whole numbers become NDVI, see `mlssm.sources.ndvi_scale`."""

    def applied(self, stored: Array) -> Array:
        """NDVI, float32, NaN where missing."""


def ndvi_layer(bad: BadFiles, scale: Scaling | None = None) -> Layer:
    """How NDVI is read; `bad` takes note of what is corrected; `scale` is of whole numbers whose file states none."""
    return Layer(_band, partial(_values, bad=bad, scale=scale), partial(Constants, bad=bad))


def _band(path: Path, source: Any) -> Band:
    return find_band(path, source, KIND)


def _values(path: Path, values: Array, band: Band, bad: BadFiles, scale: Scaling | None) -> Array:
    if scale is not None and band.is_whole:
        values = scale.applied(values)
        outside = np.abs(values) > NDVI.high
        if outside.any():
            bad.correct(path, "NDVI outside of -1..1 of scaled whole numbers was taken as missing")
            values = np.where(outside, np.nan, values).astype(np.float32)
    values = NDVI.checked(path, values)
    if band.is_whole and scale is None:
        known = values[np.isfinite(values)]
        if known.size:
            raise DataError(
                f"{path} holds NDVI as {band.dtype} without a scale: {known.min():g}..{known.max():g}; {NDVI.cure}"
            )
    return values


class Constants:
    """Finds constants that stand for missing values."""

    def __init__(self, path: Path, band: Band, bad: BadFiles) -> None:
        """Begin with no pixel of a file; `bad` takes note of what is found."""
        self._path, self._bad, self._known = path, bad, Sample()

    def add(self, stored: Array, values: Array, part: Window) -> None:
        """Take the values of a window."""
        self._known.add(values[np.isfinite(values)])

    def judge(self) -> tuple[float, ...]:
        """The constants.

        Raises:
            DataError: All values are near zero: they were scaled twice.
        """
        if not self._known.total:
            return ()
        (known,) = self._known.values()
        distinct, counts = np.unique(known, return_counts=True)
        if distinct.size < DISTINCT:
            return ()
        if np.abs(distinct).max() < FLAT:
            raise DataError(
                f"{self._path} holds NDVI of {distinct[0]:g}..{distinct[-1]:g}: was it scaled twice? Correct its scale"
            )
        fills = _fills(distinct, counts / known.size)
        if fills:
            told = ", ".join(f"{fill:g}" for fill in fills)
            self._bad.correct(self._path, f"NDVI of exactly {told}, a constant, was taken as missing")
        return tuple(float(fill) for fill in fills)


def _fills(distinct: Array, share: Any) -> list[float]:
    """Values that many pixels have and none comes near: the ends of the range, and zero."""
    found = []
    for place in {0, int(np.abs(distinct).argmin()), distinct.size - 1}:
        value = distinct[place]
        is_candidate = place in (0, distinct.size - 1) or value == 0
        near = (np.abs(distinct - value) < SPIKE_GAP) & (distinct != value)
        if is_candidate and share[place] > SPIKE_SHARE and share[near].sum() < share[place] / 10:
            found.append(value)
    return sorted(found)


def disagree(first: Array, second: Array) -> bool:
    """Whether two rasters of the same day and pixels are not of one quantity."""
    return bool(np.median(np.abs(first - second)) > 0.5)
