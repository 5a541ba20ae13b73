"""Elevation: metres, one surface, without holes that look like land."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mlssm.errors import DataError
from mlssm.grid import Window
from mlssm.sources.checks.header import Band, Kind, Layer, find_band
from mlssm.sources.faults import Array, BadFiles, Limits
from mlssm.sources.sample import Sample

# from below the Dead Sea's shore to above Everest, metres
ELEVATION = Limits(
    "elevation", -500, 9000, "declare its nodata value, e.g. `rio edit-info --nodata -9999`, or convert it to metres"
)
NOT_METRES = "convert it to metres, e.g. `rio calc`"
KIND = Kind(
    "elevation",
    r"elevation|height|dem|dsm|dtm|altitude",
    (
        (r"(us|u\.s\.)?[ -]?(survey )?(ft|foot|feet)( .*)?|ft.*|.*foot.*|.*feet.*", NOT_METRES),
        (r"(c|d|m|k)m|(centi|deci|milli|kilo)(metre|meter)s?", NOT_METRES),
        (r"deg.*|°|percent|%|rad.*", "it is a slope or an aspect; give elevation"),
    ),
)
# words in the names of rasters that are made from a DEM or delivered beside it (Copernicus EDM FLM HEM WBM ACM,
# ASTER NUM, NASADEM SWB, ALOS MSK STK)
DERIVED = re.compile(
    r"(?:^|[_\-. ])(slope|aspect|hillshade|hillshd|shade|shaded|mask|msk|tri|tpi|twi|roughness|rugosity|curvature|"
    r"flowacc|flowdir|edm|flm|hem|wbm|acm|num|swb|swbd|stk|qa|quality|err|error|std|count|landcover)(?:[_\-. ]|\d|$)",
    re.IGNORECASE,
)
# zeros beside land this high are no sea, metres
CLIFF = 50.0
# as many pixels of the very same height, lowest or highest, are holes where they lie between cliffs
FLAT_PIXELS = 4
# half of an area is nowhere as steep as this, degrees
STEEPEST_MEDIAN = 55.0
# what elevation is mistaken for, by its ratio to metres
FACTORS = {"feet": 3.2808, "decimetres": 10.0, "centimetres": 100.0, "kilometres": 0.001}
# stations' coordinates are rounded; on a slope that is not worth more than this, metres
FAR = 150.0
# two rasters of one surface differ by less than this, metres
SAME_SURFACE = 20.0


def elevation_files(paths: Sequence[Path], bad: BadFiles) -> list[Path]:
    """The files that hold elevation by their names; what was made from it is left out with a line.

    Where no other file is there, those are kept: their values decide.
    """
    derived = [path for path in paths if DERIVED.search(path.stem)]
    if not derived:
        return list(paths)
    if len(derived) == len(paths):
        bad.say(f"{derived[0]} holds no elevation by its name; it is used, as nothing else is there")
        return list(paths)
    names = ", ".join(path.name for path in derived[:3])
    bad.say(f"{len(derived)} rasters in {paths[0].parent} hold no elevation by their names: not used ({names})")
    return [path for path in paths if path not in derived]


def _band(path: Path, source: Any) -> Band:
    band = find_band(path, source, KIND)
    if band.dtype in ("uint8", "int8"):
        raise DataError(
            f"{path} holds {band.dtype} values: a picture, a hillshade or classes; give elevation in metres"
        )
    return band


def _values(path: Path, values: Array, band: Band) -> Array:
    return ELEVATION.checked(path, values)


@dataclass
class Level:
    """Pixels of one height.

    Attributes:
        places: Row and column of some, `FLAT_PIXELS` where there are so many.
        shore: The heights around them.
    """

    places: set[tuple[int, ...]] = field(default_factory=set)
    shore: Sample = field(default_factory=Sample)

    def add(self, flat: npt.NDArray[np.bool_], values: Array, part: Window) -> None:
        """Take those of a window."""
        rows, cols = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
        for row, col in np.argwhere(flat[rows[:FLAT_PIXELS]])[:FLAT_PIXELS]:
            self.places.add((part.row + int(rows[row]), part.col + int(col)))
        around = slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(cols[0] - 1, 0), cols[-1] + 2)
        flat, values = flat[around], values[around]
        self.shore.add(values[ndimage.binary_dilation(flat) & ~flat & np.isfinite(values)])


class Holes:
    """Finds pixels of one value whose shores are all cliffs: 0, or the value of holes that nothing declares."""

    def __init__(self, path: Path) -> None:
        """Begin with no pixel of a file."""
        self._path = path
        self._levels: dict[float, Level] = {}
        self._low, self._high = np.inf, -np.inf

    def add(self, stored: Array, values: Array, part: Window) -> None:
        """Look at a window of elevation."""
        known = values[np.isfinite(values)]
        if not known.size:
            return
        self._low, self._high = min(self._low, float(known.min())), max(self._high, float(known.max()))
        self._levels = {level: self._levels.get(level) or Level() for level in self._candidates()}
        for level, found in self._levels.items():
            flat = values == np.float32(level)
            if flat.any():
                found.add(flat, values, part)

    def _candidates(self) -> list[float]:
        """The lowest and the highest are most often what stands for missing."""
        return list(dict.fromkeys((0.0, self._low, self._high)))

    def judge(self) -> tuple[float, ...]:
        """No value stands for missing: a file with such is refused.

        Raises:
            DataError: There are holes.
        """
        for level, found in self._levels.items():
            if len(found.places) >= (1 if level == 0 else FLAT_PIXELS) and found.shore.total:
                _refuse_holes(self._path, level, float(np.median(found.shore.values()[0])))
        return ()


def _refuse_holes(path: Path, level: float, shore: float) -> None:
    if abs(shore - level) > CLIFF:
        what = "no sea" if level == 0 else "no land"
        raise DataError(
            f"{path} holds {level:g} beside {shore:g}: holes, and {what}; declare {level:g} as its missing "
            f"value (`rio edit-info --nodata {level:g}`), or fill them (`gdal_fillnodata.py`)"
        )


LAYER = Layer(_band, _values, lambda path, band: Holes(path))


def check_steepness(path: Path, known: Array) -> None:
    """Refuse elevation whose slopes (degrees [n], as far as known) are of no place on Earth: it is in another unit.

    Raises:
        DataError: Half of the area is too steep.
    """
    if known.size and np.median(known) > STEEPEST_MEDIAN:
        raise DataError(
            f"{path}: half of the area is steeper than {np.median(known):.0f} degrees, so it is not in metres, or no "
            "elevation; convert it to metres"
        )


def disagree(first: Array, second: Array) -> bool:
    """Whether two elevations of the same pixels are not of one surface."""
    if np.median(np.abs(first - second)) > SAME_SURFACE:
        return True
    if np.median(np.abs(first - second)) < 2 or first.std() == 0 or second.std() == 0:
        return False
    return bool(np.corrcoef(first, second)[0, 1] < 0.5)


def check_stations(path: Path, elevation: npt.NDArray[np.float64], stations: npt.NDArray[np.float64]) -> str | None:
    """Hold elevation against the heights that weather stations state.

    Args:
        path: The DEM.
        elevation: Its values at the stations, NaN where it does not reach.
        stations: The stations' own heights, metres.

    Returns:
        A warning, where a single station speaks against it; else None.

    Raises:
        DataError: Two stations or more show it to be in another unit.
    """
    usable = np.isfinite(elevation) & (stations > 20)
    ratio = elevation[usable] / stations[usable]
    for unit, factor in FACTORS.items():
        near = np.abs(ratio / factor - 1) < 0.1
        if not near.size or near.mean() < 0.75:
            continue
        told = _told(path, elevation[usable], stations[usable])
        if near.sum() > 1:
            raise DataError(f"{told}: it is in {unit}; convert it to metres")
        return f"{told}: is it in {unit}? Only one station can tell"
    far = np.abs(elevation - stations)[usable] > np.maximum(FAR, stations[usable] / 2)
    if far.sum() > 1 and far.all():
        raise DataError(f"{_told(path, elevation[usable], stations[usable])}: it holds no elevation; give another DEM")
    return None


def _told(path: Path, elevation: npt.NDArray[np.float64], stations: npt.NDArray[np.float64]) -> str:
    """What the DEM and the first station say of one place."""
    return f"{path} has {elevation[0]:g} where a weather station states {stations[0]:g} m"
