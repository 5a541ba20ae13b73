"""How much higher one satellite reads than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
LEAST = 3  # dates of a platform, within the orbits that others fly too


@dataclass(frozen=True)
class PlatformOffset:
    """One satellite against the one with most images.

    Attributes:
        platform: E.g. S1B.
        against: E.g. S1A.
        dates: How many of the first one's dates stand on orbits that both fly.
        offset_db: By how much it reads higher.
        error_db: Its standard error, of dates as independent samples.
    """

    platform: str
    against: str
    dates: int
    offset_db: float
    error_db: float


def platform_offsets(
    level: Floats, platforms: Sequence[str], orbits: npt.NDArray[np.int64]
) -> tuple[PlatformOffset, ...]:
    """Estimate offsets by least squares, beside the level of each orbit.

    Moisture of the dates is noise here: an offset is sure where both satellites flew many dates in turn.

    Args:
        level: Mean backscatter of each date over pixels less their own means, dB, [time]; NaN where unknown.
        platforms: Of each time; empty where unknown.
        orbits: Relative orbit of each time.

    Returns:
        One for each satellite but the one with most dates; none where there is one, or none is known.
    """
    known = np.isfinite(level) & np.array([bool(name) for name in platforms])
    names, counts = np.unique(np.array(platforms)[known], return_counts=True)
    if len(names) < 2:
        return ()
    first = str(names[np.argmax(counts)])
    found = (_against(level[known], np.array(platforms)[known], orbits[known], first, str(name)) for name in names)
    return tuple(each for each in found if each is not None)


def _against(
    level: Floats, platforms: npt.NDArray[np.str_], orbits: npt.NDArray[np.int64], first: str, other: str
) -> PlatformOffset | None:
    both = [orbit for orbit in np.unique(orbits) if {first, other} <= set(platforms[orbits == orbit])]
    chosen = np.isin(orbits, both) & np.isin(platforms, [first, other])
    values, is_other = level[chosen], platforms[chosen] == other
    if other == first or is_other.sum() < LEAST or (~is_other).sum() < LEAST:
        return None
    design = np.column_stack([is_other, *(orbits[chosen] == orbit for orbit in both)]).astype(float)
    fitted, *_ = np.linalg.lstsq(design, values, rcond=None)
    freedom = max(len(values) - design.shape[1], 1)
    variance = float(((values - design @ fitted) ** 2).sum()) / freedom
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0]))
    return PlatformOffset(other, first, int(is_other.sum()), float(fitted[0]), error)
