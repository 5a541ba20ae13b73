"""Soil water index of the root zone: what lies deeper follows the surface slowly.

The exponential filter (Wagner, Lemoine and Rott 1999, Remote Sens. Environ. 70, 191-207), in the recursive form of
Albergel et al. 2008 (Hydrol. Earth Syst. Sci. 12, 1323-1337, eqs. 4 and 5):

    SWI_n = SWI_(n-1) + K_n (SSM_n - SWI_(n-1)),    K_n = K_(n-1) / (K_(n-1) + exp(-(t_n - t_(n-1)) / T))

which begins with SWI = SSM and K = 1. T is the time, in days, in which the layer takes up most of a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import UNITS, Band, MapWriter, read_values
from mlssm.mapping.list import DayMap
from mlssm.progress import track

Floats = npt.NDArray[np.float64]
# the weight of the beginning after these many T is below 5 %
WARM_UP = 3
# and of what lies so many T back nothing is seen any more in float32
FORGOTTEN = 20
SWI = "swi"  # name of the band
# of the map: what it says of its own bands, its intervals and means, is not the index's
KEPT_TAGS = ("time_zone", "state_at", "run_id", "model", "support_m", "software", "forecast_weather_days")


@dataclass
class SoilWaterIndex:
    """The filter's state at some pixels.

    Attributes:
        days: T, days, > 0.
        index: SWI after the last day, NaN before the first value [...].
        gain: K after the last day [...].
        last: Day of the last value, days since 1970-01-01 [...].
    """

    days: float
    index: Floats
    gain: Floats
    last: Floats

    @classmethod
    def start(cls, shape: tuple[int, ...], days: float) -> SoilWaterIndex:
        """Before the first day."""
        return cls(days, np.full(shape, np.nan), np.ones(shape), np.full(shape, np.nan))

    def add(self, ssm: npt.NDArray[np.floating], day: int) -> Floats:
        """Take a day's SSM, NaN where it has none: there the index stays as it was.

        Args:
            ssm: 0..1, [...].
            day: Days since 1970-01-01, later than those before.

        Returns:
            SWI, 0..1, [...]; NaN where there was no value yet.
        """
        known, begun = np.isfinite(ssm), np.isfinite(self.index)
        gain = self.gain / (self.gain + np.exp(-(day - self.last) / self.days))
        moved = self.index + gain * (ssm - self.index)
        self.gain = np.where(known & begun, gain, self.gain)
        self.index = np.where(known, np.where(begun, moved, ssm), self.index)
        self.last = np.where(known, float(day), self.last)
        return self.index


def write_root_zone(
    maps: Sequence[DayMap],
    grid: Grid,
    extents: Sequence[Window],
    folder: Path,
    days: float,
    since: str | None = None,
) -> list[Path]:
    """Write the soil water index of days as `swi_<day>.tif`; those before are taken in first.

    Args:
        maps: On one grid, in the order of days.
        grid: Theirs.
        extents: Windows of it that have values.
        folder: Where the files go.
        days: T.
        since: Day from which on files are written; None: of all maps.

    Returns:
        The files. The first `WARM_UP` times T days still follow the first map, or the first one after a gap of more
        than T; each file's tag `warmed_up` tells.
    """
    states = [SoilWaterIndex.start(extent.shape, days) for extent in extents]
    written: list[Path] = []
    wanted = _number(maps[0].day if since is None else since)
    taken = [each for each in maps if _number(each.day) >= wanted - FORGOTTEN * days]
    first = last = _number(taken[0].day)
    for each in track(taken, "root zone"):
        day = _number(each.day)
        first, last = (day if day - last > max(days, 1) else first), day
        with rasterio.open(each.path) as source:
            pairs = zip(states, extents, strict=True)
            found = [state.add(read_values(source, 1, extent), day) for state, extent in pairs]
        if day < wanted:
            continue
        blocks = [(extent, values.astype(np.float32)) for extent, values in zip(extents, found, strict=True)]
        about = {
            "date": each.day,
            "filter": f"exponential, T = {days:g} days",
            "warmed_up": "yes" if day - first >= WARM_UP * days else f"no: {day - first} days since the first map",
        }
        path = folder / f"{SWI}_{each.day.replace('-', '')}.tif"
        band = Band(SWI, f"soil water index of the root zone, {each.day}", UNITS)
        with MapWriter(path, grid, [band]) as target:
            for extent, values in blocks:
                target.write(1, extent, values)
            target.tag({**{name: text for name, text in each.tags.items() if name in KEPT_TAGS}, **about})
        written.append(path)
    return written


def _number(day: str) -> int:
    """Of days since 1970-01-01."""
    return int(np.datetime64(day, "D").astype(int))
