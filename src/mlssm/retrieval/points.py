"""Labels of point series, by the same code as those of images: a site's pixels are an extent of a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.cube import BACKSCATTER_SCALE, pack
from mlssm.errors import DataError
from mlssm.retrieval.fit_extent import Fitting, fit_extent
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import list_mean
from mlssm.retrieval.noise import Speckle, looks_of_variance_db, speckle_variance_db
from mlssm.retrieval.pixel_masks import LeastSpan
from mlssm.retrieval.stack import ExtentStack
from mlssm.sources.points import PointSeries

Floats = npt.NDArray[np.floating[Any]]
ROW = slice(None)


@dataclass(frozen=True)
class PointLabels:
    """Labels of one series.

    Attributes:
        times: Acquisitions, UTC, [time].
        relative: Backscatter between its references, not clipped, [time, pixel]; NaN where masked.
        span: Wet - dry of its references, dB, [time, pixel].
        usable: Pixels that pass the masks, [pixel].
        spread: Standard deviation that speckle leaves of a value, dB.
    """

    times: npt.NDArray[np.datetime64]
    relative: Floats
    span: Floats
    usable: npt.NDArray[np.bool_]
    spread: float

    @property
    def ssm(self) -> Floats:
        """0..1, [time, pixel]."""
        return np.clip(self.relative, 0, 1)


def point_labels(
    series: PointSeries,
    channel: Mapping[str, float],
    config: RetrievalConfig,
    speckle: Speckle,
    *,
    mean: bool = True,
    keys: npt.NDArray[np.int64] | None = None,
    training: npt.NDArray[np.bool_] | None = None,
) -> PointLabels:
    """Fit and retrieve one series.

    Args:
        series: The series.
        channel: Weight of each polarisation, the one that weighs most first.
        config: Percentiles and masks.
        speckle: Of a pixel in one polarisation.
        mean: Whether the pixels are averaged in linear power; else each has its own references.
        keys: Times with the same one share references, [time]; None: all do.
        training: Which times references are fitted on, [time]; None: all.
    """
    stack, count = point_stack(series, channel, mean=mean, min_valid_fraction=config.min_valid_fraction)
    side = _side(series) if mean else 1
    squared = sum(weight**2 for weight in channel.values())
    shared = np.zeros(len(series.times), np.int64) if keys is None else keys
    whole = np.ones(len(series.times), bool) if training is None else training
    none = DateMasks({}, (stack.packed.shape[1:],))
    fitting = Fitting(shared, shared, whole, config, none, LeastSpan(config, speckle, side, squared))
    fitted = fit_extent(stack, 0, fitting, {}, {})
    relative, span = fitted.relative(stack.backscatter(slice(None), ROW, ROW), shared, ROW, ROW)
    looks = speckle.sample_looks(side, int(np.median(count[count > 0])))
    spread = math.sqrt(squared * float(speckle_variance_db(looks)))
    return PointLabels(series.times, relative[:, 0], span[:, 0], fitted.labelled[0], spread)


def point_stack(
    series: PointSeries, channel: Mapping[str, float], *, mean: bool, min_valid_fraction: float
) -> tuple[ExtentStack, npt.NDArray[np.int32]]:
    """A series as an extent of one row, and how many pixels each of its values averages, [time, 1, pixel].

    Raises:
        DataError: The series lacks a polarisation.
    """
    if missing := [name for name in channel if name not in series.power]:
        raise DataError(f"site {series.site}, burst {series.burst}: no {', '.join(missing)} in its table")
    made = {name: _row(series.power[name], mean, min_valid_fraction) for name in channel}
    first, *others = channel
    packed, count = made[first]
    parts = tuple((channel[name], made[name][0]) for name in others)
    return ExtentStack(packed, count.astype(np.uint16), channel[first], parts), count


def _row(power: Floats, mean: bool, min_valid_fraction: float) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    pixels = power[:, None] if mean else power[..., None]
    values, count = list_mean(pixels, min_valid_fraction)
    decibels = 10 * np.log10(np.where(values > 0, values, np.nan)).reshape(len(power), 1, -1)
    return pack(np.asarray(decibels, np.float32), BACKSCATTER_SCALE), count.reshape(decibels.shape)


def _side(series: PointSeries) -> int:
    """Pixels along a site's square; of another number the nearest square's, as only its speckle's correlation asks."""
    number = next(iter(series.power.values())).shape[1]
    return max(1, round(math.sqrt(number)))


def point_speckle(many: Sequence[PointSeries], polarisation: str) -> Speckle:
    """The speckle of single pixels, the median over the series; pixels two apart are taken as independent.

    As `mlssm.retrieval.noise.estimate_speckle`, but with variances: a site is too small to be disturbed in part.

    Raises:
        DataError: No series has a square of 3 x 3 pixels or more, or none has any noise.
    """
    found = [estimate for series in many if (estimate := _estimate(series, polarisation)) is not None]
    if not found:
        raise DataError(
            "speckle cannot be estimated from these points, as none has a square of 3 x 3 pixels or more that differ; "
            "set datamodule.backscatter.looks"
        )
    looks, beside, above, diagonal = np.median([(each.looks, *each.correlation) for each in found], axis=0)
    return Speckle(float(looks), (float(beside), float(above), float(diagonal)))


def pixel_looks(many: Sequence[PointSeries], polarisation: str) -> Floats:
    """Equivalent number of looks of single pixels, of each series that shows it."""
    found = (_estimate(series, polarisation) for series in many)
    return np.array([each.looks for each in found if each is not None])


def _estimate(series: PointSeries, polarisation: str) -> Speckle | None:
    power = series.power.get(polarisation)
    side = _side(series)
    if power is None or side < 3 or power.shape[1] != side * side or len(power) < 3:
        return None
    decibels = 10 * np.log10(np.where(power > 0, power, np.nan)).reshape(-1, side, side)
    ratio = np.diff(decibels, axis=0)
    apart = (_half_variance(ratio, 0, 2) + _half_variance(ratio, 2, 0)) / 2
    if not apart > 0:
        return None
    steps = ((0, 1), (1, 0), (1, 1))
    beside, above, diagonal = (float(np.clip(1 - _half_variance(ratio, *step) / apart, 0, 1)) for step in steps)
    return Speckle(looks_of_variance_db(apart / 2), (beside, above, diagonal))


def _half_variance(ratio: Floats, rows: int, cols: int) -> float:
    height, width = ratio.shape[1:]
    difference = ratio[:, rows:, cols:] - ratio[:, : height - rows, : width - cols]
    known = difference[np.isfinite(difference)]
    return float(known.var() / 2) if known.size > 1 else math.nan
