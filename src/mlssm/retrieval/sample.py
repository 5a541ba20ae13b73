"""A sample of the extents' pixels between their references, from which the error of labels is learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlssm.config import RetrievalConfig
from mlssm.crew import Crew, fold
from mlssm.cube import Cube
from mlssm.grid import Window
from mlssm.retrieval.bands import bands
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.multilook import block_mean, moving_mean
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.stack import ExtentStack, Stack
from mlssm.retrieval.working_grid import WorkingGrid
from mlssm.scratch import trimming

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.int64]

# pixels in the sample, and dates that brightness is averaged over
PIXELS, DATES = 20_000, 8


@dataclass(frozen=True)
class Sample:
    """Pixels of all extents.

    Attributes:
        relative: Backscatter between its references, not clipped, float32 [time, pixel]; NaN where there is no label.
        sensitivity: Wet - dry of the references, dB, float32, the same shape.
        looks: Equivalent number of looks of each value in one polarisation, float32, the same shape.
        squared_weights: Share of its speckle variance in dB that the channel has.
    """

    relative: Floats
    sensitivity: Floats
    looks: Floats
    squared_weights: float = 1.0


@dataclass(frozen=True)
class Source:
    """What a sample is drawn from.

    Attributes:
        cube: The pixels that the stack averages.
        stack: The multilooked backscatter.
        extents: Their fitted references.
        masks: Frozen and snowy pixels.
        speckle: Of the cube's pixels.
        config: The retrieval's.
        training: Which times are training dates, [time].
    """

    cube: Cube
    stack: Stack
    extents: Sequence[ExtentRetrieval]
    masks: DateMasks
    speckle: Speckle
    config: RetrievalConfig
    training: npt.NDArray[np.bool_]


def draw_sample(source: Source, crew: Crew | None = None) -> Sample:
    """Draw at most `PIXELS` pixels, evenly from those of all extents that have a label on some date.

    Args:
        source: What it is drawn from.
        crew: Who reads the images around the pixels; None: here, one band of rows after the other.
    """
    responsive = [np.logical_or.reduce([*extent.usable.values()]) for extent in source.extents]
    share = min(1.0, PIXELS / max(1, sum(int(usable.sum()) for usable in responsive)))
    drawn = [_spread_over(usable, share) for usable in responsive]
    parts = [_of_extent(source, number, *places, crew) for number, places in enumerate(drawn)]
    relative, sensitivity, looks = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    return Sample(relative, sensitivity, looks, source.stack.squared_weights)


def _spread_over(usable: npt.NDArray[np.bool_], share: float) -> tuple[Indices, Indices]:
    """Rows, in ascending order, and columns of a share of the usable pixels, counted row by row and taken evenly."""
    ends = usable.sum(axis=1).cumsum()
    count = int(ends[-1])
    taken = np.linspace(0, count - 1, int(share * count)).astype(np.int64)
    rows = np.searchsorted(ends, taken, side="right").astype(np.int64)
    cols = np.empty_like(taken)
    for row in np.unique(rows).tolist():
        here, known = rows == row, np.flatnonzero(usable[row])
        cols[here] = known[taken[here] - (ends[row] - len(known))]
    return rows, cols


def _of_extent(
    source: Source, number: int, rows: Indices, cols: Indices, crew: Crew | None
) -> tuple[Floats, Floats, Floats]:
    extent, stack = source.extents[number], source.stack.extents[number]
    sigma = _date_by_date(stack, lambda times: stack.backscatter(times, rows, cols))
    times = np.arange(len(sigma))
    if source.masks.any_of(number, times):
        sigma[source.masks.of(number, times, rows, cols)] = np.nan
    relative, sensitivity = extent.relative(sigma, source.cube.orbits, rows, cols)
    window = source.stack.working.window_pixels
    count = _date_by_date(stack, lambda times: stack.count[times, rows, cols])
    looks = source.speckle.sample_looks(window, count)
    even = looks if window == 1 else looks / _unevenness(source, number, rows, cols, crew)
    return relative, sensitivity, even.astype(np.float32)


def _date_by_date(stack: ExtentStack, read: Callable[[slice], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Pixels of all dates, [time, pixel]: each maps pages of its own, which are let go before they are many."""
    return np.concatenate([read(slice(time, time + 1)) for time in trimming(range(len(stack.packed)))])


def _unevenness(source: Source, number: int, rows: Indices, cols: Indices, crew: Crew | None) -> Floats:
    """How many fewer looks a window has as its pixels are not equally bright: mean(power^2) / mean(power)^2.

    The mean of independent samples of L looks with weights w has L (sum w)^2 / sum w^2 looks. The power is the mean of
    some training dates; what is left of its speckle adds 1 / (L dates) to the mean square, and is taken off.

    Args:
        source: The images.
        number: Which extent.
        rows: Of single pixels, in ascending order.
        cols: Of the same ones.
        crew: See `draw_sample`.

    Returns:
        Of these pixels, [pixel].
    """
    known = np.flatnonzero(source.training)
    times = known[np.linspace(0, len(known) - 1, min(DATES, len(known))).astype(np.int64)]
    working, items, first = source.stack.working, [], 0
    for part in bands(working.extents[number].shape, working.factor**2):
        here = slice(first, int(np.searchsorted(rows, part.stop)))
        if here.start < here.stop:
            items.append((part, rows[here], cols[here]))
        first = here.stop
    uneven = _Uneven(source.cube, working, source.speckle, source.config, number, times)
    found: list[Floats] = [np.empty(0)]
    fold(crew, uneven, items, found.append, "looks of the sample")
    return np.concatenate(found)


@dataclass(frozen=True)
class _Uneven:
    """Unevenness of pixels in some rows of an extent; see `_unevenness`."""

    cube: Cube
    working: WorkingGrid
    speckle: Speckle
    config: RetrievalConfig
    number: int
    times: Indices

    def __call__(self, item: tuple[slice, Indices, Indices]) -> Floats:
        part, rows, cols = item
        return np.asarray(self._of_rows(part)[rows - part.start, cols])

    def _of_rows(self, rows: slice) -> Floats:
        """Of all pixels, [rows, width]."""
        working, config = self.working, self.config
        pixels, window = working.window_pixels, working.extents[self.number]
        beyond = 0 if config.multilook == "block" else pixels  # rows that a moving window reaches into
        first, last = max(rows.start - beyond, 0), min(rows.stop + beyond, window.height)
        around = Window(window.row + first, window.col, last - first, window.width).refine(working.factor)
        mean, count = self._brightness(around)
        squared = mean**2 / (1 + 1 / (self.speckle.looks * np.maximum(count, 1)))
        average = block_mean if config.multilook == "block" else moving_mean
        one, other = (
            average(each.astype(np.float32), pixels, config.min_valid_fraction)[0][rows.start - first :][
                : rows.stop - rows.start
            ]
            for each in (mean, squared)
        )
        return np.asarray(np.nan_to_num(np.maximum(other / one**2, 1), nan=1.0))

    def _brightness(self, part: Window) -> tuple[Floats, Floats]:
        """Mean power of some dates and how many of them a pixel has; NaN and 0 beyond the extent."""
        inside = part.intersection(self.cube.extents[self.number])
        power, count = np.zeros(inside.shape), np.zeros(inside.shape)
        for time in self.times.tolist():
            image = self.cube.backscatter(time, self.config.polarisation, inside)
            power += np.nan_to_num(10 ** (image.astype(float) / 10))
            count += np.isfinite(image)
        mean, known = np.full(part.shape, np.nan), np.zeros(part.shape)
        here = inside.within(part).slices
        np.divide(power, count, out=mean[here], where=count > 0)
        known[here] = count
        return mean, known
