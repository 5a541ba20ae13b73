"""The grid that an area's rasters are cut for: it follows from the place alone, and from nothing that a file says."""

from __future__ import annotations

import logging
import math

from rasterio.warp import transform_bounds

from mlssm.config import GridConfig
from mlssm.errors import ConfigError
from mlssm.grid import DEGREES, Grid
from mlssm.origins.contract import Place

log = logging.getLogger(__name__)

DEFAULT_M = 20.0
FINEST_M, COARSEST_M = 10.0, 100.0  # of Sentinel-1's ground range, and of what still shows a field
WIDE = 3.0  # degrees from a zone's middle meridian to its edge


def state_grid(place: Place, settings: GridConfig) -> Grid:
    """The grid over a place: the UTM zone of its middle, its corner at whole pixels from the zone's origin.

    Args:
        place: The place.
        settings: A CRS in place of the UTM zone, and the pixel; null is 20 m.

    Raises:
        ConfigError: The pixel is not one that Sentinel-1 shows.
        DataError: The CRS is not projected in metres.
    """
    pixel = DEFAULT_M if settings.resolution_m is None else settings.resolution_m
    if not FINEST_M <= pixel <= COARSEST_M:
        raise ConfigError(f"datamodule.grid.resolution_m={pixel:g} is not allowed: fetch 10 to 100 m")
    crs = settings.crs or utm_zone(place)
    west, south, east, north = transform_bounds(DEGREES, crs, *place.bounds)
    left, top = math.floor(west / pixel) * pixel, math.ceil(north / pixel) * pixel
    width, height = math.ceil((east - left) / pixel), math.ceil((top - south) / pixel)
    return Grid(crs, (left, top), pixel, height, width)


def utm_zone(place: Place) -> str:
    """The EPSG code of the UTM zone at a place's middle."""
    west, south, east, north = place.bounds
    middle = (west + east) / 2
    zone = min(int((middle + 180) // 6) + 1, 60)
    meridian = zone * 6 - 183
    if max(abs(west - meridian), abs(east - meridian)) > 2 * WIDE:
        log.warning("the area is %.1f degrees wide: UTM zone %d stretches it by up to a percent", east - west, zone)
    return f"EPSG:{(32600 if (south + north) / 2 >= 0 else 32700) + zone}"
