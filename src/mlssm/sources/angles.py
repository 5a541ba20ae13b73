"""Incidence angles of the orbits: from files of their own, or from a band of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlssm.config import BackscatterConfig
from mlssm.errors import DataError
from mlssm.sources.checks.header import Stored
from mlssm.sources.checks.incidence import angle_band
from mlssm.sources.dated import DatedRaster
from mlssm.sources.naming import Names
from mlssm.sources.passes import Pass


@dataclass(frozen=True)
class Angles:
    """Incidence angles.

    Attributes:
        files: Those that have them, by relative orbit.
        stored: How files hold them; None where there are none.
    """

    files: dict[int, tuple[Path, ...]]
    stored: Stored | None


def find_angles(
    names: Names, dated: Sequence[DatedRaster], passes: Sequence[Pass], config: BackscatterConfig
) -> Angles:
    """The incidence angles of the orbits.

    Args:
        names: The files of the folder.
        dated: Its images.
        passes: Its passes, with their orbits.
        config: What is known of the folder.

    Raises:
        DataError: One file is to serve passes of several orbits.
    """
    if names.incidence:
        files = _by_orbit(names, passes)
    else:
        files = _in_images({raster.info.path: raster.info.bands for raster in dated}, passes, config.incidence_band)
    if not files:
        return Angles({}, None)
    units = "radians" if names.radians else "degrees"
    return Angles(files, Stored(units, config.incidence_band, config.nodata, config.crs))


def _by_orbit(names: Names, passes: Sequence[Pass]) -> dict[int, tuple[Path, ...]]:
    """Files of their own: by the orbit in their names, or by that of the image of the same time, or of all passes."""
    orbits = {overpass.orbit for overpass in passes}
    of_time = {f"{image.acquired:%Y%m%dT%H%M%S}": image.orbit for overpass in passes for image in overpass.images}
    found: dict[int, tuple[Path, ...]] = {}
    for path, groups in names.incidence.items():
        orbit = int(groups.get("orbit") or of_time.get(groups.get("date", ""), 0))
        if orbit == 0 and 0 not in orbits:
            if len(orbits) > 1:
                raise DataError(
                    f"{path} has no orbit number, but the passes are of several orbits; write the relative orbit into "
                    "its name and into those of the images"
                )
            (orbit,) = orbits
        found[orbit] = (*found.get(orbit, ()), path)
    return found


def _in_images(
    bands: dict[Path, tuple[str, ...]], passes: Sequence[Pass], number: int | None
) -> dict[int, tuple[Path, ...]]:
    """The images of each orbit that have a band of angles."""
    found: dict[int, tuple[Path, ...]] = {}
    for overpass in passes:
        for path in dict.fromkeys(image.path for image in overpass.images):
            if number is not None or angle_band(bands[path]) is not None:
                found[overpass.orbit] = (*found.get(overpass.orbit, ()), path)
    return found
