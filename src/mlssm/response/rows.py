"""Maps of all times, made some rows at a time: whole ones would grow with the area and the number of dates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from mlssm.grid import Floats
from mlssm.retrieval.bands import Bands, bands
from mlssm.scratch import Trimmed, scratch
from mlssm.workers import in_threads

Result = TypeVar("Result")
Times = npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice
WHOLE = slice(None)
EVERY = slice(None)  # of the times
SIDE_BY_SIDE = 64  # bands after which all threads wait for the slowest
TEMPORARIES = 12  # arrays of a band's values while it is worked on


class MadeOfRows(Protocol):
    """Maps of which some rows are made when they are asked for."""

    def rows(self, times: Times, rows: slice) -> npt.NDArray[np.floating]:
        """Of some times and rows [time, rows, w]."""


# at all times: [T, h, w], or [T, 1, 1] where all pixels have one value
Maps = npt.NDArray[np.floating] | MadeOfRows


def rows_of(maps: Maps, times: Times, rows: slice) -> Floats:
    """Some rows of maps at some times, float64 [time, rows, w], or [time, 1, 1] where all pixels have one value."""
    if not isinstance(maps, np.ndarray):
        return np.asarray(maps.rows(times, rows), float)
    return np.asarray(maps[times] if maps.shape[1:] == (1, 1) else maps[times, rows], float)


def positions(times: Times, count: int) -> npt.NDArray[np.int64]:
    """Times as positions, of `count` in all."""
    if isinstance(times, slice):
        return np.arange(count)[times]
    return np.flatnonzero(times) if times.dtype == bool else times.astype(np.int64)


def place_of(known: npt.NDArray[np.int64], times: Times) -> npt.NDArray[np.int64]:
    """Where times stand among those that are known, in ascending order.

    Raises:
        ValueError: One is not among them.
    """
    chosen = known[times] if isinstance(times, slice) else positions(times, 0)
    place = np.searchsorted(known, chosen)
    if not np.isin(chosen, known).all():
        raise ValueError(f"maps are kept of times {known.tolist()}, and {chosen.tolist()} are asked for")
    return np.asarray(place)


@dataclass(frozen=True)
class OfTimes:
    """Maps of some times [time, h, w], asked for by their positions among all times.

    Attributes:
        maps: In the order of `times`.
        times: Their positions, in ascending order; a slice of times is of these.
    """

    maps: Floats
    times: npt.NDArray[np.int64]

    def rows(self, times: Times, rows: slice) -> Floats:
        """Of some of the times.

        Raises:
            ValueError: One is not among them.
        """
        return np.asarray(self.maps[place_of(self.times, times), rows])


@dataclass(frozen=True)
class Mixed:
    """Maps of all times, each from one of several sources.

    Attributes:
        sources: Maps of the times that are theirs.
        source_of: Number of each time's source [T].
    """

    sources: tuple[Maps, ...]
    source_of: npt.NDArray[np.int64]

    def rows(self, times: Times, rows: slice) -> Floats:
        """Of some times."""
        chosen = positions(times, len(self.source_of))
        number = self.source_of[chosen]
        parts = {int(each): rows_of(self.sources[each], chosen[number == each], rows) for each in np.unique(number)}
        found = np.empty((len(chosen), *next(iter(parts.values())).shape[1:]))
        for each, part in parts.items():
            found[number == each] = part
        return found


def few_rows(shape: tuple[int, ...], dates: int) -> Bands:
    """Rows in bands so narrow that a dozen arrays of all dates are small, and that the processor's cache holds one."""
    return bands((shape[0], shape[1]), TEMPORARIES * dates)


def over_rows(task: Callable[[slice], Result], parts: Sequence[slice]) -> Iterator[Result]:
    """The results of a task of bands, in their order; bands are worked on side by side, see `in_threads`.

    Few results wait at once, however large the extent.
    """
    for start in range(0, len(parts), SIDE_BY_SIDE):
        yield from in_threads(Trimmed(task), parts[start : start + SIDE_BY_SIDE])


def run_rows(task: Callable[[slice], None], parts: Sequence[slice]) -> None:
    """Do something to each band that no other one is touched by, side by side."""
    for _ in over_rows(task, parts):
        pass


def fill(maps: npt.NDArray[Any], make: Callable[[slice], npt.ArrayLike], parts: Sequence[slice]) -> None:
    """Put into maps [..., h, w] what is made of each band's rows, side by side."""

    def put(rows: slice) -> None:
        maps[..., rows, :] = make(rows)

    run_rows(put, parts)


def kept(maps: Maps, times: int, shape: tuple[int, ...]) -> Floats:
    """Maps of all times as float64 [T, h, w], in a file where they are large; [T, 1, 1] where pixels have one value."""
    parts = few_rows(shape, times)
    one = rows_of(maps, EVERY, parts[0]).shape[1:] == (1, 1)
    found: Floats = scratch((times, 1, 1) if one else (times, *shape), np.float64)
    fill(found, lambda rows: rows_of(maps, EVERY, rows), parts[: 1 if one else None])
    return found


def fields_of(value: Any) -> dict[str, Any]:
    """A dataclass's fields by name as they are: `dataclasses.asdict` would copy whole maps into memory."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


@dataclass(frozen=True)
class Spread:
    """Number, mean and sum of squares around it of values; sums of parts add up (Chan, Golub & LeVeque 1983)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Spread) -> Spread:
        """Of both parts."""
        count, apart = self.count + other.count, other.mean - self.mean
        if not count:
            return self
        mean = self.mean + apart * other.count / count
        return Spread(count, mean, self.squares + other.squares + apart**2 * self.count * other.count / count)

    @classmethod
    def of_values(cls, values: npt.NDArray[np.floating]) -> Spread:
        """Of an array; at least one."""
        mean = float(values.mean())
        return cls(values.size, mean, float(((values - mean) ** 2).sum()))

    @classmethod
    def of(cls, maps: Maps, times: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> Spread:
        """Of maps at some times, at least one."""
        if isinstance(maps, np.ndarray) and maps.shape[1:] == (1, 1):
            return cls.of_values(maps[times])
        parts = few_rows(shape, int(times.sum()))
        return sum(over_rows(lambda rows: cls.of_values(rows_of(maps, times, rows)), parts), cls())

    @property
    def deviation(self) -> float:
        """Standard deviation; 0 of no value."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


def known_mean(values: Floats) -> float:
    """Mean of the known values of a map [h, w]; NaN where there is none."""
    total, count = 0.0, 0
    for rows in bands((values.shape[0], values.shape[1])):
        known = np.isfinite(values[rows])
        total, count = total + float(values[rows].sum(where=known)), count + int(known.sum())
    return total / count if count else float("nan")
