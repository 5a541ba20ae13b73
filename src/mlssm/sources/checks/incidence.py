"""The incidence angle: degrees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.sources.checks.header import Band, Kind, Layer, Stored, find_band
from mlssm.sources.faults import Array, BadFiles, Limits
from mlssm.sources.sample import Sample
from mlssm.sources.snap_names import band_names

INCIDENCE = Limits("the incidence angle", 0, 90, "declare its nodata value, or convert it to degrees")
RADIANS = "convert it to degrees (radians times 57.2958), or set datamodule.backscatter.incidence_units=radians"
RADIAN = Limits("the incidence angle in radians", 0, 1.5708, "set datamodule.backscatter.incidence_units=degrees")
KIND = Kind("the incidence angle", r"incidence|angle|theta", ((r"rad|radians?", RADIANS), (r"cos.*", RADIANS)))
# radar satellites look at the ground under such angles in the middle of an image, degrees; Sentinel-1 under 29..46
MIDDLE = (10.0, 70.0)


# of several angles in a file, that of the ellipsoid: the terrain's is taken out of terrain-corrected backscatter
OF_ELLIPSOID = re.compile(r"angle|.*ellipsoid.*|(?!.*local).*incidence.*", re.IGNORECASE)


def angle_band(names: Sequence[str]) -> int | None:
    """Number of the band of incidence angles among others, by what bands are called; None where there is none."""
    found = [number for number, name in enumerate(names, 1) if OF_ELLIPSOID.fullmatch(name.strip())]
    best = [number for number in found if "ellipsoid" in names[number - 1].lower()] or found
    return best[0] if len(best) == 1 else None


def _band(path: Path, source: Any, stored: Stored) -> Band:
    kind = KIND if stored.units != "radians" else replace(KIND, other_units=())
    return find_band(path, source, kind, stored.band or angle_band(band_names(path, source)), stored.nodata)


def incidence_layer(bad: BadFiles, stored: Stored | None = None) -> Layer:
    """How incidence angles are read.

    Args:
        bad: Takes note of what is corrected.
        stored: How files hold them, in degrees or radians; None: as the only band, or the one that is described so, in
            degrees.
    """
    stored = stored or Stored("degrees")
    values = partial(_values, radians=stored.units == "radians", bad=bad)
    return Layer(partial(_band, stored=stored), values, lambda path, band: Middle(path), stored.crs)


def _values(path: Path, values: Array, band: Band, radians: bool, bad: BadFiles) -> Array:
    if radians:
        bad.correct(path, "incidence angles in radians were taken to degrees")
        values = np.degrees(RADIAN.checked(path, values))
    values = INCIDENCE.checked(path, values)
    if (values == 0).any():
        bad.correct(path, "an incidence angle of exactly 0, under which no radar looks, was taken as missing")
        values = np.where(values == 0, np.nan, values).astype(np.float32)
    return values


class Middle:
    """Finds the angle in the middle of a file's values."""

    def __init__(self, path: Path) -> None:
        """Begin with no pixel of a file."""
        self._path, self._known = path, Sample()

    def add(self, stored: Array, values: Array, part: Window) -> None:
        """Take the angles of a window."""
        self._known.add(values[np.isfinite(values)])

    def judge(self) -> tuple[float, ...]:
        """No angle stands for missing.

        Raises:
            DataError: Radar does not look under such angles.
        """
        if not self._known.total:
            return ()
        middle = float(np.median(self._known.values()[0]))
        if not MIDDLE[0] <= middle <= MIDDLE[1]:
            raise DataError(
                f"{self._path} holds an incidence angle of {middle:g} degrees in its middle, but radar looks under "
                f"{MIDDLE[0]:g}..{MIDDLE[1]:g}: radians or a cosine? Convert it to degrees, or declare its missing "
                "value"
            )
        return ()


def disagree(first: Array, second: Array) -> bool:
    """Whether two rasters of the same pixels are not of one orbit."""
    return bool(np.median(np.abs(first - second)) > 5)
