"""How stations lie to the extents that they speak for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

from mlssm.grid import Bounds
from mlssm.weather.stations import Floats

AWAY_KM = 100.0
NEAR_KM = 50.0  # daily rain has lost about half of its correlation there
WIDE_KM = 20.0
TOGETHER = 0.25


def distances_km(station_xy: Floats, extents: Sequence[Bounds]) -> npt.NDArray[np.float64]:
    """From each station to the nearest pixel of each extent; 0 inside.

    Args:
        station_xy: Easting and northing, metres [S, 2].
        extents: West, south, east, north of each, metres [A].

    Returns:
        Kilometres [S, A].
    """
    x, y = station_xy[:, :1], station_xy[:, 1:]
    west, south, east, north = np.array(extents).T
    east_west, north_south = np.maximum(west - x, x - east), np.maximum(south - y, y - north)
    return np.asarray(np.hypot(np.maximum(0, east_west), np.maximum(0, north_south)) / 1000)


def placement_warnings(station_xy: Floats, extents: Sequence[Bounds]) -> tuple[str, ...]:
    """What is wrong with where the stations stand, a line each.

    Rain at an extent is that of its nearest stations. Where the nearest is more than 50 km away, or all stand so close
    together that they are one gauge for extents far apart, a front that they miss is missed everywhere.

    Args:
        station_xy: Easting and northing, metres [S, 2].
        extents: West, south, east, north of each, metres.
    """
    distance = distances_km(station_xy, extents)
    nearest, away = distance.min(axis=0), distance.min(axis=1)
    far = np.flatnonzero(nearest > NEAR_KM)
    lines = []
    if (away > AWAY_KM).any() and (away <= AWAY_KM).any():
        lines.append(
            f"{int((away > AWAY_KM).sum())} of {len(away)} stations are more than {AWAY_KM:.0f} km from all extents, "
            f"the farthest {away.max():.0f} km; they count where nearer ones have no value: check or remove them"
        )
    if far.size:
        lines.append(
            f"{far.size} of {len(extents)} extents have no station within {NEAR_KM:.0f} km, the farthest none within "
            f"{nearest.max():.0f} km: rain there is another place's; add stations near the images"
        )
    corners = np.array(extents).reshape(-1, 2)  # south-west and north-east of each
    wide, apart = (pdist(places).max(initial=0.0) / 1000 for places in (corners, station_xy))
    if wide > WIDE_KM and apart < TOGETHER * wide:
        lines.append(
            f"the extents stretch over {wide:.0f} km and their {len(station_xy)} stations over {apart:.0f} km: they "
            "are as one gauge, and a front that it misses is missed everywhere; add stations near the other extents"
        )
    return tuple(lines)
