"""How many bytes windows come to, before any file is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from rasterio.warp import transform_bounds

from mlssm.grid import DEGREES, Bounds
from mlssm.origins.contract import Request


def covered_bytes(bounds: Sequence[float], request: Request, pixel: float, size: int) -> int:
    """Bytes of the pixels that a file has on an area, uncompressed.

    Args:
        bounds: The file's west, south, east, north in degrees; empty: it covers the area.
        request: Whose grid.
        pixel: The file's pixel, metres.
        size: Bytes of a pixel.
    """
    grid = request.grid
    window = grid.full
    if len(bounds) in (4, 6):
        flat = bounds if len(bounds) == 4 else (bounds[0], bounds[1], bounds[3], bounds[4])
        window = grid.window_of(transform_bounds(DEGREES, grid.crs, *cast(Bounds, tuple(flat))))
    return round(window.height * window.width * (grid.pixel / pixel) ** 2 * size)
