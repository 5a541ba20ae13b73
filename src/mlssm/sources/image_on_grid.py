"""An image on the grid: where it lies, and which satellite saw it from which orbit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mlssm.errors import DataError
from mlssm.orbits import direction
from mlssm.sources.conventions.words import PLATFORM
from mlssm.sources.dated import DatedRaster
from mlssm.sources.opening import RasterInfo, refuse_too_large
from mlssm.sources.passes import Image

SMALLER = "cut the images to the area, or set a coarser datamodule.grid.resolution_m"
# tags by which producers state the relative orbit
ORBIT_TAGS = ("TRACK_NUMBER", "RELATIVE_ORBIT_NUMBER", "RELATIVE_ORBIT", "RELATIVEORBITNUMBER_START")
ORBIT_NUMBER = re.compile(r"[A-Za-z]{0,2}0*(\d{1,6})(?:\.0*)?")
# more than any satellite has: of Sentinel-1 there are 175
LAST_ORBIT = 700
# satellite and pass
PLATFORM_TAGS = ("PLATFORM", "MISSION", "SATELLITE", "MISSION_ID")
PASS_TAGS = ("ORBIT_PASS_DIRECTION", "ORBIT_DIRECTION", "PASS", "ORBITPROPERTIES_PASS")


def image_on_grid(raster: DatedRaster, crs: str, pixel: float) -> Image:
    """An image with its place on the grid, and its orbit, satellite and direction by name or tag.

    Args:
        raster: The image.
        crs: The grid's.
        pixel: The grid's, metres.

    Raises:
        DataError: It does not lie on the grid, is too large for it, or its orbit is none or contradicts itself.
    """
    info, groups = raster.info, raster.groups
    bounds = info.bounds_in(crs)
    width, height = ((bounds[side + 2] - bounds[side]) / pixel for side in (0, 1))
    refuse_too_large(info.path, int(height), int(width), SMALLER)
    seen = _orbit(raster), bounds, _platform(raster), direction(groups.get("pass") or _tag(info, PASS_TAGS))
    return Image(info.path, raster.time, groups["polarisation"], *seen, raster.stored)


def _tag(info: RasterInfo, names: Sequence[str]) -> str:
    return next((info.tags[name] for name in names if info.tags.get(name)), "")


def _orbit(raster: DatedRaster) -> int:
    """Relative orbit by name or tag, 0 where neither tells.

    Raises:
        DataError: The two contradict each other.
    """
    stated = {"name": raster.groups.get("orbit", ""), "tags": _tag(raster.info, ORBIT_TAGS)}
    numbers = {place: _number(raster.info.path, text, place) for place, text in stated.items() if text}
    known = {place: number for place, number in numbers.items() if number}
    if len(set(known.values())) > 1:
        raise DataError(
            f"{raster.info.path}: its name gives the relative orbit {known['name']}, its tags {known['tags']}; correct "
            "one"
        )
    return next(iter(known.values()), 0)


def _number(path: Path, text: str, place: str) -> int:
    """A relative orbit as it is written: 137, T137, 62.0."""
    match = ORBIT_NUMBER.fullmatch(text.strip())
    if match is None or int(match[1]) > LAST_ORBIT:
        raise DataError(
            f"{path}: its {place} give{'s' * (place == 'name')} {text!r} for the relative orbit, a number up to "
            f"{LAST_ORBIT}; a pattern takes an absolute orbit by the group (?P<absolute>...) beside 'platform'"
        )
    return int(match[1])


def _platform(raster: DatedRaster) -> str:
    text = raster.groups.get("platform") or _tag(raster.info, PLATFORM_TAGS)
    match = PLATFORM.search(text)
    return f"S1{match[1].upper()}" if match else ""
