"""A sample of the areas' pixels, in neighbourhoods, from which the error of labels is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.cube import Cube
from mlssm.retrieval.labels import AreaRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import block_mean, moving_mean
from mlssm.retrieval.noise import Speckle, speckle_variance_db
from mlssm.retrieval.stack import Stack, whole_blocks

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.int64]

# pixels in the sample; looks that a neighbourhood's mean should have; dates that brightness is averaged over
PIXELS, LOOKS, DATES = 8000, 300, 8


@dataclass(frozen=True)
class Sample:
    """Neighbourhoods of pixels a multilook window apart.

    Attributes:
        sigma: Multilooked backscatter, normalised to 40 degrees where a slope is fitted, dB, float64
            [time, neighbourhood, pixel]; NaN where missing or masked, and on water.
        looks: Equivalent number of looks of each, float32, the same shape.
        redundancy: How many pixels of a neighbourhood tell as much as one, as speckle is correlated.
    """

    sigma: Floats
    looks: Floats
    redundancy: float

    @property
    def variance(self) -> Floats:
        """Speckle variance of a pixel's values, dB^2, [neighbourhood, pixel]."""
        return speckle_variance_db(self.looks.mean(axis=0, dtype=float))


@dataclass(frozen=True)
class Source:
    """What a sample is drawn from.

    Attributes:
        cube: The pixels that the stack averages.
        stack: The multilooked backscatter.
        areas: Their fitted references.
        masks: Frozen and snowy pixels.
        speckle: Of the cube's pixels.
        config: The retrieval's.
        training: Which times are training dates, [time].
    """

    cube: Cube
    stack: Stack
    areas: Sequence[AreaRetrieval]
    masks: DateMasks
    speckle: Speckle
    config: RetrievalConfig
    training: npt.NDArray[np.bool_]

    @property
    def step(self) -> int:
        """Working pixels from one window to the next that shares no pixel with it."""
        return self.stack.working.window_pixels // self.stack.working.factor


def draw_sample(source: Source) -> Sample:
    """Draw neighbourhoods evenly from all areas: squares of so many pixels that their mean has about `LOOKS` looks."""
    working, speckle = source.stack.working, source.speckle
    narrowest = -(-min(min(window.shape) for window in working.areas) // source.step)
    full = speckle.sample_looks(working.window_pixels, working.window_pixels**2)
    side = int(np.clip(np.ceil(np.sqrt(LOOKS / full)), 1, narrowest))
    grids = [neighbourhoods(window.shape, side, source.step) for window in working.areas]
    share = min(1.0, PIXELS / sum(rows.size for rows, _ in grids))
    parts = []
    for number, (rows, cols) in enumerate(grids):
        taken = np.linspace(0, len(rows) - 1, int(np.ceil(share * len(rows)))).astype(np.int64)
        parts.append(_of_area(source, number, rows[taken], cols[taken]))
    sigma, looks = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    beside, above, diagonal = (each / working.window_pixels for each in speckle.correlation)  # windows share edges
    return Sample(sigma, looks, replace(speckle, correlation=(beside, above, diagonal)).redundancy(side))


def neighbourhoods(shape: tuple[int, int], side: int, step: int) -> tuple[Indices, Indices]:
    """Rows and columns of the pixels of all whole squares of `side` x `side` pixels, `step` apart, [square, pixel]."""
    starts = [np.arange(0, length - (side - 1) * step, side * step) for length in shape]
    rows, cols = ((start[:, None] + np.arange(side) * step) for start in starts)
    grid = np.broadcast_arrays(rows[:, None, :, None], cols[None, :, None, :])
    down, across = (each.reshape(-1, side * side) for each in grid)
    return down, across


def _of_area(source: Source, number: int, rows: Indices, cols: Indices) -> tuple[Floats, Floats]:
    area, stack = source.areas[number], source.stack.areas[number]
    sigma = stack.backscatter(slice(None), rows, cols).astype(float)
    times = np.arange(len(sigma))
    if source.masks.any_of(number, times):
        sigma[source.masks.of(number, times, rows, cols)] = np.nan
    for orbit in np.unique(source.cube.orbits):
        of_orbit, key = source.cube.orbits == orbit, area.key(int(orbit))
        if key not in area.references:
            sigma[of_orbit] = np.nan
            continue
        land = area.references[key].mean[rows, cols] > source.config.water_below_db
        sigma[of_orbit] = np.where(land, area.normalised(sigma[of_orbit], int(orbit), rows, cols), np.nan)
    window = source.stack.working.window_pixels
    looks = source.speckle.sample_looks(window, stack.count[:, rows, cols])
    even = looks if window == 1 else looks / _unevenness(source, number)[rows, cols]
    return sigma, even.astype(np.float32)


def _unevenness(source: Source, number: int) -> Floats:
    """How many fewer looks a window has as its pixels are not equally bright: mean(power^2) / mean(power)^2.

    The mean of independent samples of L looks with weights w has L (sum w)^2 / sum w^2 looks. The power is the mean of
    some training dates; what is left of its speckle adds 1 / (L dates) to the mean square, and is taken off.
    """
    working, config = source.stack.working, source.config
    area, window = source.cube.areas[number], working.areas[number].refine(working.factor)
    known = np.flatnonzero(source.training)
    taken = known[np.linspace(0, len(known) - 1, min(DATES, len(known))).astype(np.int64)]
    images = (source.cube.backscatter(int(time), config.polarisation, area) for time in taken)
    power, count = np.zeros(area.shape), np.zeros(area.shape)
    for image in images:
        power += np.nan_to_num(10 ** (image.astype(float) / 10))
        count += np.isfinite(image)
    mean = np.divide(power, count, out=np.full(area.shape, np.nan), where=count > 0)
    squared = mean**2 / (1 + 1 / (source.speckle.looks * np.maximum(count, 1)))
    average = block_mean if config.multilook == "block" else moving_mean
    pixels = working.window_pixels
    first, second = (
        average(whole_blocks(each.astype(np.float32), area, window), pixels, config.min_valid_fraction)[0]
        for each in (mean, squared)
    )
    return np.asarray(np.nan_to_num(np.maximum(second / first**2, 1), nan=1.0))
