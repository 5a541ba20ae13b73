"""Sentinel-1's orbits: their numbers, and which way a pass flies."""

from __future__ import annotations

ASCENDING, DESCENDING = "ascending", "descending"
ORBITS = 175  # of a repeat cycle
# absolute orbits that are a satellite's relative orbit 1, each from a day on (ESA's mission performance centre); None:
# while it was moved, they are not certain
FIRST_ORBITS: dict[str, tuple[tuple[str, int | None], ...]] = {
    "S1A": (("", 73),),
    "S1B": (("", 27),),
    "S1C": (("", 172), ("20260609", None), ("20260624", 99)),
    "S1D": (("", 42),),
}


def relative_orbit(platform: str, absolute: str, date: str) -> int | None:
    """Relative orbit, 1..175, of a Sentinel-1's absolute orbit: (orbit - first) mod 175 + 1; None where not certain.

    Args:
        platform: S1A to S1D; of others there is none.
        absolute: Its absolute orbit.
        date: YYYYMMDD and more.
    """
    first = next((first for day, first in reversed(FIRST_ORBITS.get(platform, ())) if date >= day), None)
    return None if first is None else (int(absolute) - first) % ORBITS + 1


def direction(text: str | None) -> str:
    """Ascending or descending, by what a name or tag calls the pass; empty where it does not."""
    if not text:
        return ""
    return {"a": ASCENDING, "d": DESCENDING}.get(text.strip().lower()[:1], "")
