"""Traits that no date changes: what a pixel's references and responses are beside those around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter

from mlssm.grid import Floats
from mlssm.response.base import Response
from mlssm.response.folds import Retrieved
from mlssm.retrieval.bands import bands
from mlssm.scratch import scratch

AROUND_M = (0.0, 90.0, 300.0, 1000.0)  # that means and slopes are averaged over; 0: the pixel itself
NEIGHBOURS = 3  # pixels along the square that a pixel is compared with
TEMPORARIES = 24  # maps that are in memory at once, with the rows around


def fixed_traits(
    found: Retrieved, base: Response, relative: Response, pixel_m: float
) -> tuple[tuple[str, ...], Floats]:
    """Names of the traits and their maps [trait, h, w], NaN where unknown; made in bands that see the rows around.

    Args:
        found: What training dates say of the pixels.
        base: How their labels respond.
        relative: How their backscatter does, in units of wet - dry.
        pixel_m: Pixel size, metres.
    """
    height, width = found.shape
    reach = max(NEIGHBOURS, *_sizes(AROUND_M, pixel_m)) // 2
    names, fixed = (), np.empty(0)  # type: tuple[str, ...], Floats
    for rows in bands((height, width), TEMPORARIES):
        seen = slice(max(rows.start - reach, 0), min(rows.stop + reach, height))
        maps = _of_rows(found.part(seen), base.rows(seen), relative.rows(seen), pixel_m)
        if not names:
            names, fixed = tuple(maps), scratch((len(maps), height, width), np.float64)
        for trait, values in zip(fixed, maps.values(), strict=True):
            trait[rows] = values[rows.start - seen.start :][: rows.stop - rows.start]
    return names, fixed


def _sizes(around_m: Sequence[float], pixel_m: float) -> list[int]:
    """Pixels along squares around a pixel: odd numbers."""
    return sorted({2 * int(metres / pixel_m / 2) + 1 for metres in around_m})


def _of_rows(found: Retrieved, base: Response, relative: Response, pixel_m: float) -> dict[str, Floats]:
    """Span, spread and neighbours in units of the span; means and slopes of the surroundings, clipped and not."""
    span = np.where(found.span > 0, found.span, np.nan)
    around = (9 * smoothed(found.level, NEIGHBOURS) - np.nan_to_num(found.level)) / 8
    maps = {"1 / span": 1 / span, "spread": found.spread / span, "neighbours": (around - found.level) / span}
    for kind, response, widths in (("ssm", base, AROUND_M), ("backscatter", relative, AROUND_M[:-1])):
        for size in _sizes(widths, pixel_m):
            maps[f"{kind} mean of {size} pixels"] = smoothed(response.mean, size)
            maps[f"{kind} slope of {size} pixels"] = smoothed(response.slope, size)
    if found.ratio is not None:
        maps["cross-polarised"] = found.ratio
    return maps


def smoothed(values: Floats, size: int) -> Floats:
    """Mean of the known values in the `size` x `size` pixels around each [h, w]; NaN where there is none."""
    known = np.isfinite(values)
    if size == 1:
        return np.where(known, values, np.nan)
    total, share = (
        uniform_filter(part.astype(float), size, mode="nearest") for part in (np.where(known, values, 0), known)
    )
    return np.asarray(np.divide(total, share, out=np.full(values.shape, np.nan), where=share > 0.5 / size**2))
