"""What a reader of weather delivers: a station's days."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class StationRecord:
    """One station, or one cell of a grid.

    Attributes:
        id: GHCN-Daily identifier, or another name that no other station has.
        longitude: Degrees east.
        latitude: Degrees north.
        elevation_m: Metres; NaN where unknown.
        observations: One row a consecutive local day, one float column a quantity, named and in the units of
            `quantities.QUANTITIES`, NaN = missing.
        flagged: Values that were left out because their quality flag is set.
        notes: What was corrected, moved or left out besides, a line each.
        hourly: Whether its days were summed from hours.
        group: Of a cell, its grid: what is told of it is told of all cells together.
    """

    id: str
    longitude: float
    latitude: float
    elevation_m: float
    observations: pd.DataFrame
    flagged: int = 0
    notes: tuple[str, ...] = ()
    group: str = ""
    hourly: bool = False
