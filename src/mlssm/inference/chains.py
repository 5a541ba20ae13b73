"""Which days a carried state runs through before each map: by the calendar and the weather's record alone.

Every `lag` days a chain begins, on days since 1970-01-01 that `lag` divides. A map is that of the last chain that began
so early that the state has seen `lag` days at least: it has seen `lag` to 2 `lag` - 1 of them. A day is a step of two
chains, whatever the lag, and a day's map does not depend on which other days are asked for.

Where a day lacks what a step needs, the chain begins after it: the window's own days are there wherever a day can be
mapped at all, so that a map has seen them in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Days = npt.NDArray[np.datetime64]
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Chain:
    """Days in a row that a state is carried through.

    Attributes:
        first: The first of them.
        ends: Those after which a map is wanted, sorted; one at least.
    """

    first: np.datetime64
    ends: Days

    @property
    def days(self) -> int:
        """How many there are until the last map."""
        return int((self.ends[-1] - self.first) / DAY) + 1

    def has(self, day: np.datetime64) -> bool:
        """Whether a day is a step of it."""
        return bool(self.first <= day <= self.ends[-1])


def first_day(end: np.datetime64, lag: int, passes: Callable[[np.datetime64], bool]) -> np.datetime64:
    """The first day that the state has seen after a day.

    Args:
        end: The day, last of a window of weather.
        lag: Days of the window, all of which are seen.
        passes: Whether a day before the window has what a step needs.
    """
    first = end - np.timedelta64(lag - 1, "D")
    anchor = np.datetime64(int(first.astype("datetime64[D]").astype(np.int64)) // lag * lag, "D")
    while first > anchor and passes(first - DAY):
        first -= DAY
    return first


def plan_chains(ends: Iterable[np.datetime64], lag: int, passes: Callable[[np.datetime64], bool]) -> list[Chain]:
    """The chains that give the maps after some days, in the order of their first days; arguments as of `first_day`."""
    found: dict[np.datetime64, list[np.datetime64]] = {}
    for end in sorted(ends):
        found.setdefault(first_day(end, lag, passes), []).append(end)
    return [Chain(first, np.array(found[first], "datetime64[D]")) for first in sorted(found)]


def steps(chains: Iterable[Chain]) -> Days:
    """All days that are a step of some chain, sorted."""
    return np.unique(np.concatenate([np.arange(chain.first, chain.ends[-1] + DAY) for chain in chains]))


def together(chains: Iterable[Chain], most: int) -> list[list[np.datetime64]]:
    """Ends whose maps are made together: of whole chains, in blocks of at most `most`; a longer chain's in parts."""
    blocks: list[list[np.datetime64]] = []
    for chain in chains:
        ends = list(chain.ends)
        if blocks and len(blocks[-1]) + len(ends) <= most:
            blocks[-1] += ends
        else:
            blocks += [ends[start : start + most] for start in range(0, len(ends), most)]
    return blocks
