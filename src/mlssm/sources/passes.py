"""Overpasses: which images belong to one, which are the same one twice, and on which orbit they are."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from pathlib import Path

from mlssm.errors import DataError
from mlssm.grid import Bounds
from mlssm.sources.checks.header import Stored
from mlssm.sources.dated import DatedRaster
from mlssm.sources.faults import BadFiles

log = logging.getLogger(__name__)

# bursts of one overpass follow one another by seconds; two overpasses of an orbit are days apart
SAME_PASS = dt.timedelta(minutes=10)
# a relative orbit returns at the same time of day within a minute; its neighbours pass 8 minutes or more apart
SAME_ORBIT = dt.timedelta(minutes=4)
DAY = dt.timedelta(days=1)
# numbers of orbits that no file names; real ones are 1 to 175 (Sentinel-1)
FIRST_DERIVED = 1001
# two images without a burst's name that share this much of their ground are one image
SAME_GROUND = 0.8


@dataclass(frozen=True)
class Image:
    """One burst (or scene) in one polarisation.

    Attributes:
        path: The file.
        acquired: Acquisition time, UTC.
        polarisation: VV, VH, HH or HV.
        orbit: Relative orbit (track) number; 0 where nothing tells, from 1001 on where the time of day told.
        bounds: West, south, east, north in the grid's CRS.
        platform: S1A to S1D; empty where nothing tells.
        direction: ascending or descending; empty where nothing tells.
        stored: How the file holds it.
    """

    path: Path
    acquired: dt.datetime
    polarisation: str
    orbit: int
    bounds: Bounds
    platform: str = ""
    direction: str = ""
    stored: Stored = field(default_factory=Stored)


@dataclass(frozen=True)
class Pass:
    """One overpass of the area: all its images.

    Attributes:
        acquired: Acquisition time of its first image, UTC.
        orbit: Relative orbit number.
        images: Its bursts in all polarisations.
    """

    acquired: dt.datetime
    orbit: int
    images: tuple[Image, ...]

    @property
    def polarisations(self) -> set[str]:
        """The polarisations that it has."""
        return {image.polarisation for image in self.images}

    @property
    def platform(self) -> str:
        """The satellite, S1A to S1D; empty where nothing tells."""
        return next((image.platform for image in self.images if image.platform), "")

    @property
    def direction(self) -> str:
        """Ascending or descending; empty where nothing tells."""
        return next((image.direction for image in self.images if image.direction), "")


def newest_processing(dated: Iterable[DatedRaster]) -> list[DatedRaster]:
    """Keep the newest processing of a burst that was delivered more than once, in the order of time.

    Processing anew may move a burst's start by seconds; the same burst comes again after days.
    """
    groups: dict[tuple[str, str], list[DatedRaster]] = defaultdict(list)
    for raster in sorted(dated, key=lambda raster: raster.time):
        groups[_scene(raster), raster.groups["polarisation"]].append(raster)
    kept = []
    for rasters in groups.values():
        for same in _runs(rasters):
            *older, newest = sorted(
                same, key=lambda raster: (raster.groups.get("processed", ""), raster.info.path.name)
            )
            for raster in older:
                log.warning("%s was processed anew: %s is used", raster.info.path.name, newest.info.path.name)
            kept.append(newest)
    return sorted(kept, key=lambda raster: (raster.time, raster.info.path.name))


def _scene(raster: DatedRaster) -> str:
    """What stays the same when a scene is processed anew: its burst or tile, or else its orbit; else, its name."""
    groups = raster.groups
    if "burst" in groups:
        return groups["burst"]
    orbit = groups.get("orbit", "") + groups.get("tile", "")
    return orbit if "processed" in groups else raster.info.path.name


def _runs(rasters: Sequence[DatedRaster]) -> list[list[DatedRaster]]:
    """Put those of rasters, sorted by time, together that are of one pass and one ground."""
    runs: list[list[DatedRaster]] = []
    for raster in rasters:
        earliest = raster.time - SAME_PASS
        recent = takewhile(partial(_begins_after, earliest), reversed(runs))
        run = next((run for run in recent if _is_same(run[0], raster)), None)
        if run is None:
            runs.append([raster])
        else:
            run.append(raster)
    return runs


def _begins_after(earliest: dt.datetime, run: Sequence[DatedRaster]) -> bool:
    return run[0].time >= earliest


def _is_same(first: DatedRaster, second: DatedRaster) -> bool:
    """Whether two rasters of one pass show the same ground."""
    if "burst" in second.groups:
        return True
    return first.info.crs == second.info.crs and _shared(first.info.bounds, second.info.bounds) > SAME_GROUND


def group_passes(images: Iterable[Image]) -> tuple[Pass, ...]:
    """Put the images of one overpass together: the same satellite and relative orbit, minutes apart."""
    groups: list[list[Image]] = []
    for image in sorted(images, key=lambda item: (item.orbit, item.acquired, item.path.name)):
        last = groups[-1][-1] if groups else None
        if last and _of_one_pass(last, image):
            groups[-1].append(image)
        else:
            groups.append([image])
    passes = [Pass(group[0].acquired, group[0].orbit, tuple(group)) for group in groups]
    return tuple(sorted(passes, key=lambda overpass: (overpass.acquired, overpass.orbit)))


def _of_one_pass(first: Image, second: Image) -> bool:
    satellites = {first.platform, second.platform} - {""}
    return first.orbit == second.orbit and len(satellites) < 2 and second.acquired - first.acquired <= SAME_PASS


def derive_orbits(passes: Sequence[Pass]) -> tuple[Pass, ...]:
    """Number the orbits of passes that have no number, by the time of day; one orbit alone stays 0.

    Ascending and descending passes, and neighbouring tracks, see the ground from other sides: their backscatter differs
    by decibels, and they must not share references.
    """
    unknown = [overpass for overpass in passes if overpass.orbit == 0]
    directions = sorted({overpass.direction for overpass in unknown})
    each = ([overpass for overpass in unknown if overpass.direction == way] for way in directions)
    orbits = [orbit for overpasses in each for orbit in _by_time_of_day(overpasses)]
    if len(orbits) < 2:
        if 0 < len(unknown) < len(passes):
            log.warning(
                "%d of %d passes have no orbit number (first: %s): they share references of their own, apart from "
                "those of the numbered orbits; write the number into their names",
                *(len(unknown), len(passes), unknown[0].images[0].path.name),
            )
        return tuple(passes)
    numbers = {overpass: FIRST_DERIVED + place for place, group in enumerate(orbits) for overpass in group}
    told = ", ".join(f"{numbers[group[0]]}: {group[0].acquired:%H:%M} UTC, {len(group)} passes" for group in orbits)
    log.warning("%d passes have no orbit number; by their time of day they are of %s", len(unknown), told)
    return tuple(_numbered(overpass, numbers.get(overpass, overpass.orbit)) for overpass in passes)


def _numbered(overpass: Pass, orbit: int) -> Pass:
    return replace(overpass, orbit=orbit, images=tuple(replace(image, orbit=orbit) for image in overpass.images))


def _by_time_of_day(passes: Sequence[Pass]) -> list[list[Pass]]:
    """Groups of passes whose times of day lie minutes apart; midnight parts none."""
    groups: list[list[Pass]] = []
    for overpass in sorted(passes, key=_time_of_day):
        if groups and _time_of_day(overpass) - _time_of_day(groups[-1][-1]) <= SAME_ORBIT:
            groups[-1].append(overpass)
        else:
            groups.append([overpass])
    if len(groups) > 1 and _time_of_day(groups[0][0]) + DAY - _time_of_day(groups[-1][-1]) <= SAME_ORBIT:
        groups[0] = groups.pop() + groups[0]
    return groups


def _time_of_day(overpass: Pass) -> dt.timedelta:
    moment = overpass.acquired
    return dt.timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)


def without_copies(passes: Iterable[Pass], named: set[Path], bad: BadFiles) -> tuple[Pass, ...]:
    """Refuse an image that shows the ground of another one of its pass and polarisation: the same one, twice.

    Args:
        passes: The passes.
        named: Images whose names tell their burst: two bursts may overlap.
        bad: Whether the second image stops the run or is left out.

    Raises:
        DataError: There is one, and the policy is "error".
    """
    return tuple(_without_copies(overpass, named, bad) for overpass in passes)


def _without_copies(overpass: Pass, named: set[Path], bad: BadFiles) -> Pass:
    kept: list[Image] = []
    for image in overpass.images:
        with bad.handled(image.path):
            for other in () if image.path in named else kept:
                if other.polarisation == image.polarisation and _within(other.bounds, image.bounds) > SAME_GROUND:
                    raise DataError(
                        f"{image.path} shows the ground of {other.path.name} in the same pass: they would be averaged; "
                        "keep one, or let the pattern's groups 'burst' and 'processed' tell them apart"
                    )
            kept.append(image)
    return replace(overpass, images=tuple(kept))


def _within(first: Bounds, second: Bounds) -> float:
    """Share of the smaller box that is in the other: a scene and what was cut from it are one image, too."""
    both = _both(first, second)
    return both / min(_size(first), _size(second))


def _both(first: Bounds, second: Bounds) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0) * max(height, 0)


def _shared(first: Bounds, second: Bounds) -> float:
    """Share of the two boxes' union that is in both."""
    both = _both(first, second)
    return both / (_size(first) + _size(second) - both)


def _size(box: Bounds) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
