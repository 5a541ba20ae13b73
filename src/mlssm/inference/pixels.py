"""What a trained model says of single pixels, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mlssm.data.moment import Moment
from mlssm.data.prefit import FORECAST, LEVERAGE
from mlssm.inference.certainty import SPAN, Wanted, sure_parts
from mlssm.inference.mapper import Days, Mapper
from mlssm.models.prediction import predict
from mlssm.progress import track

Floats = npt.NDArray[np.float64]
TOGETHER = 16  # days that the network is shown at once


@dataclass(frozen=True)
class PixelSeries:
    """What a model says of one pixel, each [day]; NaN where it says nothing.

    Attributes:
        ssm: 0..1.
        lower: Lower end of its interval; NaN without a calibration.
        upper: Upper end.
        response: Of the closed form below the network; NaN without.
        frozen: Days that are masked as frozen or snowy.
    """

    ssm: Floats
    lower: Floats
    upper: Floats
    response: Floats
    frozen: npt.NDArray[np.bool_]


def pixel_series(
    mapper: Mapper, centres: Sequence[tuple[int, int]], days: Days, reach: int, level: float
) -> list[PixelSeries]:
    """Predict one pixel of each of a mapper's extents on many days.

    Args:
        mapper: Its extents are windows around the pixels, see `mlssm.inference.around`.
        centres: Row and column of the pixel in each of them.
        days: Local days.
        reach: Pixels on each side that the network is shown; beyond the extent its outermost values.
        level: Of the intervals.
    """
    rows = np.full((len(centres), len(days), 4), np.nan)
    frozen = np.zeros((len(centres), len(days)), bool)
    water = [water[centre] for water, centre in zip(mapper.water(), centres, strict=True)]
    for part in track(_parts(len(days)), "days at stations"):
        known = [(n, moment) for n in range(part.start, part.stop) if (moment := mapper.moment(days[n])) is not None]
        for n, _ in known:
            frozen[:, n] = [mask[centre] for mask, centre in zip(mapper.frozen(days[n]), centres, strict=True)]
        for extent, centre in enumerate(centres):
            if known and not water[extent]:
                found = _of_days(mapper, extent, centre, [moment for _, moment in known], reach, level)
                rows[extent, [n for n, _ in known]] = found
    rows[frozen] = np.nan
    columns = [(each[:, 0], each[:, 1], each[:, 2], each[:, 3]) for each in rows]
    return [PixelSeries(*each, mask) for each, mask in zip(columns, frozen, strict=True)]


def _parts(days: int) -> list[range]:
    return [range(start, min(start + TOGETHER, days)) for start in range(0, days, TOGETHER)]


def _of_days(
    mapper: Mapper, extent: int, centre: tuple[int, int], moments: Sequence[Moment], reach: int, level: float
) -> Floats:
    """Map, lower and upper end and closed form of a pixel [day, 4]."""
    part = [slice(place - reach, place + reach + 1) for place in centre]
    inputs = [mapper.features.patch(extent, moment, *part) for moment in moments]
    dynamic, static = (
        torch.from_numpy(np.stack([getattr(each, name) for each in inputs])) for name in ("dynamic", "static")
    )
    found = predict(mapper.network, dynamic, static)
    usable = np.array([each.usable[reach, reach] for each in inputs])
    ssm = np.where(usable, found.ssm[:, 0, reach, reach].numpy().astype(float), np.nan)
    spread = None if found.spread is None else found.spread[:, 0, reach, reach].numpy().astype(float)
    maps = [moment.maps[extent] if moment.maps else {} for moment in moments]
    response = np.array([float(each[FORECAST][centre]) if FORECAST in each else np.nan for each in maps])
    return np.column_stack([ssm, *_interval(mapper, extent, centre, maps, ssm, spread, level), response])


def _interval(
    mapper: Mapper,
    extent: int,
    centre: tuple[int, int],
    maps: Sequence[Any],
    ssm: Floats,
    spread: Floats | None,
    level: float,
) -> tuple[Floats, Floats]:
    nothing = np.full(len(ssm), np.nan)
    calibration = None if mapper.certainty is None else mapper.certainty.calibration
    known = np.isfinite(ssm)
    if calibration is None or mapper.certainty is None or not known.any():
        return nothing, nothing
    spans = np.array([float(each.get(SPAN, mapper.certainty.spans[extent])[centre]) for each in maps])
    leverage = np.array([float(each[LEVERAGE][centre]) if LEVERAGE in each else np.nan for each in maps])
    own = None if spread is None else spread[known]
    deviation = calibration.scale.deviation(ssm[known], spans[known], leverage[known], own)
    low, high, *_ = sure_parts(calibration, ssm[known], deviation, Wanted(level, ()))
    lower, upper = nothing.copy(), nothing.copy()
    lower[known], upper[known] = low, high
    return lower, upper
