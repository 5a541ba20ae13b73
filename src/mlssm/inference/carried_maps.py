"""The maps of a part of an extent on many dates by a state that is carried from day to day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mlssm.data.moment import Moment
from mlssm.grid import Floats
from mlssm.inference.chains import Chain, steps
from mlssm.inference.extent import ExtentMap
from mlssm.inference.mapper import Mapper, day_of
from mlssm.inference.square import PartPlace, Square
from mlssm.inference.surround import Surround
from mlssm.models.carried import Carrier, carrier
from mlssm.scratch import scratch
from mlssm.uncertainty.applicability import Applicability

Array = npt.NDArray[np.float32]


def carried_maps(
    mapper: Mapper,
    place: PartPlace,
    chains: Sequence[Chain],
    surround: Surround,
    applicability: Applicability | None,
) -> Iterator[tuple[Moment, ExtentMap]]:
    """Map a part after each day on which a chain's map is wanted, in the order of days.

    Args:
        mapper: Opened on `place.around`, for the days of all steps.
        place: Where the part lies.
        chains: What the state runs through.
        surround: What the network sees around the part after the steps of the longest chain.
        applicability: What training pixels are like; None where that is not asked.

    Yields:
        What is known of the day, and its map.

    Raises:
        DataError: A day cannot be mapped any more.
    """
    square = Square(mapper, place, surround, place.inner)
    lag, wanted = mapper.bundle.window.lag, {end for chain in chains for end in chain.ends}
    means = None if applicability is None else _WindowMean(lag)
    walk = _Walk(mapper, square, chains)
    for end in steps(chains):
        moment = mapper.known(day_of(mapper.bundle, end)) if end in wanted else mapper.step(end)
        static, known = square.static(moment)
        weather = square.weather(moment.window[-1])
        if means is not None:
            means.add(end, square.compared(weather))
        found = walk.step(end, weather, static)
        if end in wanted:
            assert found is not None
            unlike = None
            if applicability is not None and means is not None:
                unlike = square.unlike(means.mean, static, known, applicability)
            yield moment, ExtentMap(*square.said(found, known), unlike)


@dataclass
class _Walk:
    """States on the way through their chains."""

    mapper: Mapper
    square: Square
    chains: Sequence[Chain]

    def __post_init__(self) -> None:
        self._carrier: Carrier | None = None
        self._states: dict[np.datetime64, Any] = {}

    def step(self, end: np.datetime64, weather: Array, static: Array) -> Any:
        """Take all chains a day further; the map after it, where one is wanted."""
        alive = [chain for chain in self.chains if chain.has(end)]
        with torch.inference_mode():
            given, frame = self.square.given(static), self.square.given(weather)
            if self._carrier is None:
                most = max(chain.days for chain in self.chains)
                features = self.mapper.features
                self._carrier = carrier(self.mapper.network, given, features.changing, most)
            for chain in alive:
                if chain.first == end:
                    self._states[chain.first] = self._carrier.begin(chain.days)
            self._carrier.advance(frame, given, [self._states[chain.first] for chain in alive])
            maps = [self._carrier.map(self._states[chain.first], given) for chain in alive if end in chain.ends]
        for chain in alive:
            if chain.ends[-1] == end:
                del self._states[chain.first]
        return maps[0] if maps else None


class _WindowMean:
    """Mean of the weather over the last days of a window."""

    def __init__(self, lag: int) -> None:
        self._lag, self._count = lag, 0
        self._last: np.datetime64 | None = None
        self._kept: Array | None = None  # the window's days, each where the one that it follows by `lag` days was
        self._sum: Floats = np.zeros(0)

    def add(self, day: np.datetime64, weather: Array) -> None:
        """Take a day in; where days lie between, the window begins anew."""
        if self._kept is None:
            self._kept = scratch((self._lag, *weather.shape), np.float32)
        if self._last is None or day - self._last != np.timedelta64(1, "D"):
            self._sum, self._count = np.zeros(weather.shape), 0
        self._sum += weather
        place = self._kept[self._count % self._lag]
        if self._count >= self._lag:
            self._sum -= place
        place[:] = weather
        self._last, self._count = day, self._count + 1

    @property
    def mean(self) -> Array:
        """Of all days of the window, [dynamic, h, w]."""
        assert self._count >= self._lag
        return (self._sum / self._lag).astype(np.float32)
