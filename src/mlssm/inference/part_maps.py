"""The maps of a part of an extent on many dates: what the dates share is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mlssm.data.features import FeatureSource, Inputs
from mlssm.data.moment import Moment
from mlssm.grid import Window
from mlssm.inference.extent import ExtentMap
from mlssm.inference.likeness import vectors
from mlssm.inference.mapper import Mapper
from mlssm.inference.surround import Shape, Surround, side_by_side
from mlssm.inference.tiles import Blend
from mlssm.models.prediction import Prediction
from mlssm.models.series import Series, plain, series
from mlssm.uncertainty.applicability import Applicability

Array = npt.NDArray[np.float32]
# pixels along what a network makes at once: its tensors stay in the processor's caches, and kept days in memory
SIDE, WIDE_SIDE = 128, 192
FAR = 16  # reach from which on a wider square costs less than what is seen twice around it


@dataclass(frozen=True)
class PartPlace:
    """Where a part lies.

    Attributes:
        inner: The part, counted from the extent's corner.
        around: What was opened, likewise; it holds what the network sees of the extent.
        shape: Rows and columns of the extent.
    """

    inner: Window
    around: Window
    shape: Shape

    @property
    def within(self) -> tuple[slice, slice]:
        """The part's rows and columns of what was opened."""
        return self.inner.within(self.around).slices

    def local(self, rows: slice, cols: slice) -> tuple[slice, slice]:
        """Rows and columns of the extent, counted from the corner of what was opened."""
        top, left = self.around.row, self.around.col
        return slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)


def part_maps(
    mapper: Mapper, place: PartPlace, moments: Sequence[Moment], surround: Surround, applicability: Applicability | None
) -> list[ExtentMap]:
    """Map a part on each date.

    Args:
        mapper: Opened on `place.around`.
        place: Where the part lies.
        moments: What is known of each date, in the order of days.
        surround: What the network sees around it.
        applicability: What training pixels are like; None where that is not asked.
    """
    maps = _Maps.empty(len(moments), place.inner.shape, compared=applicability is not None)
    if surround.reach is None:
        for date, moment in enumerate(moments):
            _blend(mapper, place, moment, surround, applicability, maps, date)
        return maps.each()
    for window in side_by_side(place.inner, square_side(surround.reach)):
        square = _Square(mapper, place, surround, window)
        here = window.within(place.inner).slices
        for date, moment in enumerate(moments):
            maps.put(date, here, *square.map(moment, applicability))
    return maps.each()


def square_side(reach: int) -> int:
    """Pixels along what a network of a reach makes at once."""
    return SIDE if reach <= FAR else WIDE_SIDE


@dataclass(frozen=True)
class _Maps:
    """The maps of all dates, [date, height, width], NaN where nothing was put yet."""

    ssm: Array
    spread: Array
    unlike: Array | None

    @classmethod
    def empty(cls, dates: int, shape: Shape, *, compared: bool) -> _Maps:
        ssm, spread = (np.full((dates, *shape), np.nan, np.float32) for _ in range(2))
        return cls(ssm, spread, np.full((dates, *shape), np.nan, np.float32) if compared else None)

    def put(self, date: int, here: tuple[slice, slice], ssm: Array, spread: Array | None, unlike: Array | None) -> None:
        self.ssm[date][here] = ssm
        if spread is not None:
            self.spread[date][here] = spread
        if unlike is not None and self.unlike is not None:
            self.unlike[date][here] = unlike

    def each(self) -> list[ExtentMap]:
        states = bool(np.isfinite(self.spread).any())
        unlike = [None] * len(self.ssm) if self.unlike is None else list(self.unlike)
        pairs = zip(self.ssm, self.spread, unlike, strict=True)
        return [ExtentMap(ssm, spread if states else None, index) for ssm, spread, index in pairs]


class _Square:
    """A network on a few pixels and what it sees around them."""

    def __init__(self, mapper: Mapper, place: PartPlace, surround: Surround, inner: Window) -> None:
        rows, cols = surround.seen(inner, place.shape)
        self._features, self._network = mapper.features, mapper.network
        self._rows, self._cols = place.local(rows, cols)
        self._offset, self._shape = (inner.row - rows.start, inner.col - cols.start), inner.shape
        self._bounded = surround.reach is not None
        self._device = next((each.device for each in mapper.network.parameters()), torch.device("cpu"))
        self._series: Series | None = None
        self._days: dict[bytes, tuple[Array, torch.Tensor]] = {}

    def map(self, moment: Moment, applicability: Applicability | None) -> tuple[Array, Array | None, Array | None]:
        """SSM, the network's spread and the dissimilarity of the inner pixels; NaN where an input is missing."""
        features = self._features
        static, usable = features.static(0, moment, self._rows, self._cols)
        with torch.inference_mode():
            given = torch.from_numpy(static).to(self._device)
            if self._series is None:
                shared = series(self._network, given, features.changing) if self._bounded else plain(self._network)
                self._series = shared
            days = self._window(moment, self._series)
            found = self._series.map([prepared for _, prepared in days], given)
        inner = tuple(slice(start, start + size) for start, size in zip(self._offset, self._shape, strict=True))
        known, unlike = usable[inner], None
        if applicability is not None:
            inputs = Inputs(np.stack([frame for frame, _ in days]), static, usable)
            unlike = np.where(known, _index(features, inputs, inner, applicability), np.float32(np.nan))
        return *self._inner(found, known), unlike

    def _window(self, moment: Moment, network: Series) -> list[tuple[Array, torch.Tensor]]:
        """The window's days, each made once while a window holds it; what stations said of a day tells it."""
        keys = [step.tobytes() for step in moment.window]
        self._days = {key: self._days[key] for key in keys if key in self._days}
        for key, step in zip(keys, moment.window, strict=True):
            if key not in self._days:
                frame = self._features.day(0, step, self._rows, self._cols)
                self._days[key] = frame, network.day(torch.from_numpy(frame).to(self._device))
        return [self._days[key] for key in keys]

    def _inner(self, found: Prediction, known: npt.NDArray[np.bool_]) -> tuple[Array, Array | None]:
        """The inner pixels of a prediction, which may have lost as much at each side as the network reaches."""
        seen = self._rows.stop - self._rows.start, self._cols.stop - self._cols.start
        lost = [(whole - left) // 2 for whole, left in zip(seen, found.mean.shape[-2:], strict=True)]
        starts = [offset - each for offset, each in zip(self._offset, lost, strict=True)]
        inner = tuple(slice(start, start + size) for start, size in zip(starts, self._shape, strict=True))
        ssm, spread = (
            None if each is None else each[0, 0].float().cpu().numpy()[inner] for each in (found.ssm, found.spread)
        )
        nothing = np.float32(np.nan)
        assert ssm is not None
        return np.where(known, ssm, nothing), None if spread is None else np.where(known, spread, nothing)


def _index(features: FeatureSource, inputs: Inputs, inner: tuple[slice, ...], applicability: Applicability) -> Array:
    values = vectors(features.spec, inputs).reshape(*inputs.static.shape[1:], -1)[inner]
    return (
        applicability.bounded_index(values.reshape(-1, values.shape[-1])).reshape(values.shape[:2]).astype(np.float32)
    )


def _blend(
    mapper: Mapper,
    place: PartPlace,
    moment: Moment,
    surround: Surround,
    applicability: Applicability | None,
    maps: _Maps,
    date: int,
) -> None:
    """Blend the tiles that touch the part."""
    tiles = surround.tiles(place.shape, place.inner)
    whole = tiles[0]
    for each in tiles[1:]:
        whole = whole.union(each)
    ssm, spread = Blend(whole.shape), Blend(whole.shape)
    usable, unlike = np.zeros(whole.shape, bool), np.full(whole.shape, np.nan, np.float32)
    for window in tiles:
        square = _Square(mapper, place, surround, window)
        own, stated, index = square.map(moment, applicability)
        here = window.within(whole)
        ssm.add(here, own)
        usable[here.slices] |= np.isfinite(own)
        if stated is not None:
            spread.add(here, stated)
        if index is not None:
            new = np.isnan(unlike[here.slices])
            unlike[here.slices][new] = index[new]
    inner = place.inner.within(whole).slices
    everything = slice(None), slice(None)
    maps.put(date, everything, ssm.result()[inner], spread.result()[inner], unlike[inner])
