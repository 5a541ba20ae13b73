"""The maps of a part of an extent on many dates: what the dates share is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mlssm.data.moment import Moment
from mlssm.inference.extent import ExtentMap
from mlssm.inference.mapper import Mapper
from mlssm.inference.square import PartPlace, Square
from mlssm.inference.surround import Shape, Surround, side_by_side
from mlssm.inference.tiles import Blend
from mlssm.models.series import Series, plain, series
from mlssm.uncertainty.applicability import Applicability

Array = npt.NDArray[np.float32]
# pixels along what a network makes at once: its tensors stay in the processor's caches, and kept days in memory
SIDE, WIDE_SIDE = 128, 192
FAR = 16  # reach from which on a wider square costs less than what is seen twice around it


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
        windows = _Windows(mapper, Square(mapper, place, surround, window), bounded=True)
        here = window.within(place.inner).slices
        for date, moment in enumerate(moments):
            maps.put(date, here, *windows.map(moment, applicability))
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


class _Windows:
    """The maps of a square on dates one after the other: a day is made once while a window holds it."""

    def __init__(self, mapper: Mapper, square: Square, *, bounded: bool) -> None:
        self._features, self._network, self._square = mapper.features, mapper.network, square
        self._bounded = bounded
        self._series: Series | None = None
        self._days: dict[bytes, tuple[Array, torch.Tensor]] = {}

    def map(self, moment: Moment, applicability: Applicability | None) -> tuple[Array, Array | None, Array | None]:
        """SSM, the network's spread and the dissimilarity of the inner pixels; NaN where an input is missing."""
        square = self._square
        static, known = square.static(moment)
        with torch.inference_mode():
            given = square.given(static)
            if self._series is None:
                network, changing = self._network, self._features.changing
                self._series = series(network, given, changing) if self._bounded else plain(network)
            days = self._window(moment, self._series)
            found = self._series.map([prepared for _, prepared in days], given)
        unlike = None
        if applicability is not None:
            mean = np.stack([square.compared(frame) for frame, _ in days]).mean(axis=0)
            unlike = square.unlike(mean, static, known, applicability)
        return *square.said(found, known), unlike

    def _window(self, moment: Moment, network: Series) -> list[tuple[Array, torch.Tensor]]:
        """The window's days; what stations said of a day tells it."""
        keys = [step.tobytes() for step in moment.window]
        self._days = {key: self._days[key] for key in keys if key in self._days}
        for key, step in zip(keys, moment.window, strict=True):
            if key not in self._days:
                frame = self._square.weather(step)
                self._days[key] = frame, network.day(self._square.given(frame))
        return [self._days[key] for key in keys]


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
        windows = _Windows(mapper, Square(mapper, place, surround, window), bounded=False)
        own, stated, index = windows.map(moment, applicability)
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
