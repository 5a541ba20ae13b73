"""What was recognised of a folder of backscatter, in a line; and what in it does not go together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlssm.grid import Grid, Window
from mlssm.sources.faults import BadFiles
from mlssm.sources.naming import Names
from mlssm.sources.passes import Pass

log = logging.getLogger(__name__)

# Sentinel-1 crosses the equator at 6 and 18 h local solar time, other latitudes within so many hours of it
HOURS_AROUND, FARTHEST_LATITUDE = 2.5, 65.0
# an extent that less than this share of the passes of another one see
LONELY = 0.1


def tell_recognised(
    folder: Path, names: Names, passes: Sequence[Pass], incidence: Mapping[int, Sequence[Path]], bad: BadFiles
) -> None:
    """Log what the folder's images are taken for, and warn where they are of several quantities or units."""
    images = [image for overpass in passes for image in overpass.images]
    named = [names.images[path] for path in dict.fromkeys(image.path for image in images)]
    units = Counter(image.stored.units for image in images)
    quantities = Counter(each.quantity for each in named if each.quantity)
    orbits = Counter(f"{overpass.orbit or 'without number'} {overpass.direction}".strip() for overpass in passes)
    platforms = sorted({image.platform for image in images if image.platform})
    log.info(
        "backscatter: %d files in %s by %s: %s; %s; %s; %d passes of orbits %s; incidence angle of %d orbits",
        *(len(named), folder, _counted(Counter(each.convention for each in named))),
        " and ".join([*(_counted(units), *quantities)]),
        _counted(Counter(image.polarisation for image in images)),
        ", ".join(platforms) or "satellites not told",
        *(len(passes), _counted(orbits), len(incidence)),
    )
    if len(units) > 1:
        bad.say(f"the images in {folder} are in several units ({_counted(units)}): each was read in its own")
    if len(quantities) > 1:
        bad.say(
            f"the images in {folder} are of several quantities ({_counted(quantities)}), which differ by decibels with "
            "the incidence angle; keep those of one"
        )


def tell_doubtful_times(grid: Grid, passes: Sequence[Pass], bad: BadFiles) -> None:
    """Warn of passes at hours at which no radar of a dawn-dusk orbit passes: their times may not be UTC."""
    longitude, latitude = grid.geographic_centre()
    if abs(latitude) > FARTHEST_LATITUDE:
        return
    hours = [(_hour(overpass) + longitude / 15) % 24 for overpass in passes]
    odd = [hour for hour in hours if min(abs(hour - 6), abs(hour - 18)) > HOURS_AROUND]
    if odd:
        bad.say(
            f"{len(odd)} of {len(passes)} passes are at {odd[0]:.0f} h local solar time, but Sentinel-1 passes near 6 "
            "and 18 h: are the times in the names UTC? Wrong ones put images onto wrong days"
        )


def tell_lonely_extents(grid: Grid, extents: Sequence[Window], passes: Sequence[Pass], bad: BadFiles) -> None:
    """Warn of an extent that few passes see: images whose CRS or transform is wrong lie in one of their own."""
    seeing = [[overpass for overpass in passes if _sees(overpass, grid, extent)] for extent in extents]
    most = max(map(len, seeing))
    for extent, seen in zip(extents, seeing, strict=True):
        if len(seen) < LONELY * most:
            west, south, east, north = grid.crop(extent).bounds
            bad.say(
                f"only {len(seen)} of {len(passes)} passes see the extent at {west:.0f}..{east:.0f}, "
                f"{south:.0f}..{north:.0f} (first: {seen[0].images[0].path.name}): is its CRS right?"
            )


def _sees(overpass: Pass, grid: Grid, extent: Window) -> bool:
    return any(grid.window_of(image.bounds).intersects(extent) for image in overpass.images)


def _hour(overpass: Pass) -> float:
    return overpass.acquired.hour + overpass.acquired.minute / 60


def _counted(counts: Counter[str]) -> str:
    """The names, and how many of each where there are several."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
