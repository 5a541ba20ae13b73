"""How stations lie to the areas that they speak for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

from mlssm.grid import Bounds
from mlssm.weather.stations import Floats

NEAR_KM = 50.0  # daily rain has lost about half of its correlation there
WIDE_KM = 20.0
TOGETHER = 0.25


def distances_km(station_xy: Floats, areas: Sequence[Bounds]) -> npt.NDArray[np.float64]:
    """From each station to the nearest pixel of each area; 0 inside.

    Args:
        station_xy: Easting and northing, metres [S, 2].
        areas: West, south, east, north of each, metres [A].

    Returns:
        Kilometres [S, A].
    """
    x, y = station_xy[:, :1], station_xy[:, 1:]
    west, south, east, north = np.array(areas).T
    east_west, north_south = np.maximum(west - x, x - east), np.maximum(south - y, y - north)
    return np.asarray(np.hypot(np.maximum(0, east_west), np.maximum(0, north_south)) / 1000)


def placement_warnings(station_xy: Floats, areas: Sequence[Bounds]) -> tuple[str, ...]:
    """What is wrong with where the stations stand, a line each.

    Rain at an area is that of its nearest stations. Where the nearest is more than 50 km away, or all stand so close
    together that they are one gauge for areas far apart, a front that they miss is missed everywhere.

    Args:
        station_xy: Easting and northing, metres [S, 2].
        areas: West, south, east, north of each, metres.
    """
    nearest = distances_km(station_xy, areas).min(axis=0)
    far = np.flatnonzero(nearest > NEAR_KM)
    lines = []
    if far.size:
        lines.append(
            f"{far.size} of {len(areas)} areas have no station within {NEAR_KM:.0f} km, the farthest none within "
            f"{nearest.max():.0f} km: rain there is another place's; add stations near the images"
        )
    corners = np.array(areas).reshape(-1, 2)  # south-west and north-east of each
    wide, apart = (pdist(places).max(initial=0.0) / 1000 for places in (corners, station_xy))
    if wide > WIDE_KM and apart < TOGETHER * wide:
        lines.append(
            f"the areas stretch over {wide:.0f} km and their {len(station_xy)} stations over {apart:.0f} km: they are "
            "as one gauge, and a front that it misses is missed everywhere; add stations near the other areas"
        )
    return tuple(lines)
