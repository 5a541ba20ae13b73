"""Where and when a patch lies."""

from __future__ import annotations

from typing import NamedTuple


class PatchPlace(NamedTuple):
    """Where and when a patch lies.

    Attributes:
        extent: Number of the extent.
        time: Acquisition, a position in the cube.
        rows: Of the extent; may reach past it.
        cols: Of the extent; may reach past it.
    """

    extent: int
    time: int
    rows: slice
    cols: slice
