"""Where and when weather is wanted: what its readers know of the extents and their images."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from mlssm.grid import Bounds
from mlssm.sources.weather.places import LonLat
from mlssm.weather.clock import MIDNIGHT

UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Site:
    """The extents and the day of their images.

    Attributes:
        boxes: West, south, east and north of each extent, degrees; without any, no station is far.
        zone: The extents' time zone.
        hour: Local hour at which the days of hourly weather end, 1..24; see `mlssm.weather.clock`.
        lines: What is to be said of that hour where there is hourly weather.
    """

    boxes: tuple[Bounds, ...] = ()
    zone: ZoneInfo = UTC
    hour: int = MIDNIGHT
    lines: tuple[str, ...] = ()

    @property
    def middles(self) -> list[LonLat]:
        """Longitude and latitude of the extents' middles."""
        return [((west + east) / 2, (south + north) / 2) for west, south, east, north in self.boxes]
