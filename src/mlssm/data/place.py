"""Where and when a patch lies."""

from __future__ import annotations

from typing import NamedTuple


class PatchPlace(NamedTuple):
    """Where and when a patch lies.

    Attributes:
        area: Number of the area.
        time: Acquisition, a position in the cube.
        rows: Of the area; may reach past it.
        cols: Of the area; may reach past it.
    """

    area: int
    time: int
    rows: slice
    cols: slice
