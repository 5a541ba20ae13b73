"""When the satellite passes, at which angle it looks, and how its products are cut and named."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from mlssm.config import SimulationConfig
from mlssm.grid import Grid, Window
from mlssm.origins.simulation.arrays import Floats
from mlssm.origins.simulation.weather import SEASON_MONTH

PLATFORM = "S1A"
PROCESSING = dt.timedelta(hours=10)
BURST_INTERVAL = dt.timedelta(seconds=3)
TILT_OF_TRACK = 12.0  # degrees by which the ground track leans off the meridian at this latitude
OVERLAP = 24  # the bursts share about a 24th of the rows on each side of the cut
LEAST_OVERLAP = 2


@dataclass(frozen=True)
class Track:
    """A relative orbit over the area.

    Attributes:
        bursts: Identifiers, in the order in which they are acquired.
        ascending: Northwards in the evening; if not, southwards in the morning.
        utc: Time of day at which the first burst begins.
        near: Incidence angle at the near edge of the area, degrees.
        far: Incidence angle at its far edge, degrees.
    """

    bursts: tuple[str, str]
    ascending: bool
    utc: dt.time
    near: float
    far: float


# T137 crosses the area northwards, by its real burst numbers; T071 southwards, by numbers worked out from its orbit's.
# The angles span what a whole swath does, not what a few kilometres would, so that their effect can be seen.
EVENING = Track(("T137-292319-IW2", "T137-292320-IW2"), True, dt.time(1, 58, 57), 36.0, 41.0)
MORNING = Track(("T071-151222-IW3", "T071-151223-IW3"), False, dt.time(14, 0, 12), 41.0, 44.0)
TRACKS = (EVENING, MORNING)


@dataclass(frozen=True)
class Acquisition:
    """One pass over the area.

    Attributes:
        track: The relative orbit.
        time: When the first burst begins, UTC.
        local_day: The local calendar day of the pass.
        state_day: The pass sees the soil at this day's end: the local day in the evening, else the one before.
    """

    track: Track
    time: dt.datetime
    local_day: dt.date
    state_day: dt.date


@dataclass(frozen=True)
class Burst:
    """A part of a pass: its identifier, how long after the first burst it begins, and its pixels."""

    name: str
    delay: dt.timedelta
    window: Window


def acquire(track: Track, local_day: dt.date) -> Acquisition:
    """The pass of a track on a local day; in the evening the UTC date is already the next one."""
    utc_day = local_day + dt.timedelta(days=1) if track.ascending else local_day
    state_day = local_day if track.ascending else local_day - dt.timedelta(days=1)
    return Acquisition(track, dt.datetime.combine(utc_day, track.utc, dt.UTC), local_day, state_day)


def schedule(config: SimulationConfig) -> tuple[Acquisition, ...]:
    """All passes of the seasons in order of time: each track every `revisit_days`, the second half-way between."""
    first = dt.date(config.first_season, SEASON_MONTH, 1)
    count = (dt.date(config.first_season + config.seasons, SEASON_MONTH, 1) - first).days
    passes = [
        acquire(track, first + dt.timedelta(days=offset))
        for track, begin in zip(TRACKS, (0, config.revisit_days // 2), strict=True)
        for offset in range(begin, count, config.revisit_days)
    ]
    return tuple(sorted(passes, key=lambda acquisition: acquisition.time))


def bursts_of(track: Track, grid: Grid) -> tuple[Burst, Burst]:
    """The two bursts of a pass: halves of one image that share rows around its middle."""
    middle, shared = grid.height // 2, max(grid.height // OVERLAP, LEAST_OVERLAP)
    north = Window(0, 0, middle + shared, grid.width)
    south = Window(middle - shared, 0, grid.height - middle + shared, grid.width)
    first, second = (south, north) if track.ascending else (north, south)
    return (
        Burst(track.bursts[0], dt.timedelta(0), first),
        Burst(track.bursts[1], BURST_INTERVAL, second),
    )


def incidence_angle(track: Track, grid: Grid) -> Floats:
    """Incidence on the ellipsoid, degrees, float32 of the grid's shape: linear in range, blind to the terrain's slope.

    The radar looks to its right: on the ascending track the angle grows to the east, on the descending one to the west.
    """
    lean = np.radians(TILT_OF_TRACK)
    east = np.arange(grid.width)[None, :] * np.cos(lean)
    north = -np.arange(grid.height)[:, None] * np.sin(lean)
    # both tracks lean west of north as seen going north, east of north going south: mirror images
    distance = east + north if track.ascending else north - east
    share = (distance - distance.min()) / np.ptp(distance)
    return np.asarray(track.near + (track.far - track.near) * share, dtype=np.float32)


def image_name(burst: str, time: dt.datetime, pixel_m: float, polarisation: str) -> str:
    """File name of an OPERA RTC-S1 image; `time` is the burst's own, UTC."""
    stamps = f"{time:%Y%m%dT%H%M%SZ}_{time + PROCESSING:%Y%m%dT%H%M%SZ}"
    return f"OPERA_L2_RTC-S1_{burst}_{stamps}_{PLATFORM}_{round(pixel_m)}_v1.0_{polarisation}.tif"


def incidence_name(burst: str, pixel_m: float) -> str:
    """File name of a burst's OPERA RTC-S1-STATIC incidence angle layer."""
    return f"OPERA_L2_RTC-S1-STATIC_{burst}_20140403_{PLATFORM}_{round(pixel_m)}_v1.0_incidence_angle.tif"
