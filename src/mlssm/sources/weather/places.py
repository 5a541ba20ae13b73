"""Where a station stands: its columns LATITUDE, LONGITUDE and ELEVATION."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import Geod

from mlssm.errors import DataError

UNKNOWN_ELEVATIONS = (-999.9, -999.0, -9999.0, -9999.9, 9999.0, 9999.9, 99999.0)
MOVED_DEGREES = 0.05  # some 5 km
FAR_KM = 500.0

LonLat = tuple[float, float]
"""Longitude and latitude, degrees."""


@dataclass(frozen=True)
class Place:
    """A station's place.

    Attributes:
        longitude: Degrees east, -180..180.
        latitude: Degrees north.
        elevation_m: Metres; NaN where unknown.
        notes: What was corrected or is worth knowing, a line each.
    """

    longitude: float
    latitude: float
    elevation_m: float
    notes: tuple[str, ...]


def read_place(path: Path, numbers: pd.DataFrame) -> Place:
    """The place on the last day: a station that has moved is where it is now.

    A longitude of 180 to 360 degrees counts eastwards all round, and is brought to -180..180. An elevation that is
    empty or one of the codes for missing is unknown.

    Args:
        path: The file, for messages.
        numbers: LATITUDE, LONGITUDE and ELEVATION in the order of days, NaN = empty.

    Raises:
        DataError: A value is no place on Earth.
    """
    latitude, longitude, elevation = (float(value) for value in numbers.iloc[-1])
    notes = []
    if 180 < longitude <= 360:
        notes.append(f"LONGITUDE {longitude:g} counts from 0 to 360: it is {longitude - 360:.5g}")
        longitude -= 360
    if not -90 <= latitude <= 90 and -90 <= longitude <= 90:
        swapped = "; it looks swapped with LONGITUDE"
    else:
        swapped = ""
    _require(path, "LATITUDE", latitude, -90, 90, swapped)
    _require(path, "LONGITUDE", longitude, -180, 180, "")
    if np.isnan(elevation) or elevation in UNKNOWN_ELEVATIONS:
        notes.append(
            "ELEVATION is unknown: no FAO-56 evapotranspiration, and temperatures without the station's height"
        )
        elevation = float("nan")
    else:
        _require(path, "ELEVATION", elevation, -450, 9000, "; metres are wanted")
    spread = numbers[["LATITUDE", "LONGITUDE"]].max() - numbers[["LATITUDE", "LONGITUDE"]].min()
    if spread.max() > MOVED_DEGREES:
        notes.append(
            f"the station's place differs by {spread.max():.2f} degrees within the file: the last one is taken"
        )
    return Place(longitude, latitude, elevation, tuple(notes))


def _require(path: Path, column: str, value: float, low: float, high: float, hint: str) -> None:
    if not low <= value <= high:
        raise DataError(f"{path}: {column} {value:g} is not in {low:g}..{high:g}{hint}; correct the station's place")


def why_far(path: Path, longitude: float, latitude: float, extents: Sequence[LonLat]) -> str | None:
    """Why a station is of no use to the extents: it is more than 500 km from all of them; None where one is nearer.

    Args:
        path: The file, for messages.
        longitude: Degrees east.
        latitude: Degrees north.
        extents: The extents' middles; without any, no station is far.

    Raises:
        DataError: The station would be near if a sign were another or the two coordinates were swapped.
    """
    distance = _distance_km((longitude, latitude), extents)
    if distance <= FAR_KM:
        return None
    meant = {
        "LONGITUDE's sign looks wrong": (-longitude, latitude),
        "LATITUDE's sign looks wrong": (longitude, -latitude),
        "LATITUDE and LONGITUDE look swapped": (latitude, longitude),
        "both signs look wrong": (-longitude, -latitude),
    }
    place = f"at {latitude:g} N {longitude:g} E the station is {distance:.0f} km from the images"
    for reason, other in meant.items():
        if abs(other[1]) <= 90 and (near := _distance_km(other, extents)) <= FAR_KM:
            raise DataError(
                f"{path}: {place}; {reason}, as {other[1]:g} N {other[0]:g} E is {near:.0f} km away; correct it"
            )
    return f"{place}: it is left out"


def _distance_km(place: LonLat, extents: Sequence[LonLat]) -> float:
    """To the nearest extent, along the ellipsoid; 0 without any."""
    ellipsoid = Geod(ellps="WGS84")
    return min((ellipsoid.inv(*place, *extent)[2] / 1000 for extent in extents), default=0.0)
