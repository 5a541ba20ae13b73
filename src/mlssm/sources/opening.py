"""Opening one GeoTIFF: what its header must say before a value is read."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine, array_bounds
from rasterio.warp import transform_bounds

from mlssm.errors import DataError
from mlssm.grid import Bounds, Window
from mlssm.sources.checks.header import unit_of
from mlssm.sources.snap_names import band_names
from mlssm.sources.streamed import Streamed

# a file's bytes, or what reads them in order; None: GDAL reads them from the disk
Content = bytes | Streamed | None

# by suffix; of all others, GTiff
DRIVERS = {".jp2": "JP2OpenJPEG", ".img": "HFA"}
# what one reading may hold in memory: more than a whole Sentinel-1 scene at 10 m
MAX_PIXELS = 500_000_000
# GDAL opens these beside a raster, by any driver: one that is no TIFF could lead it to other files and hosts
COMPANIONS = (".msk", ".MSK", ".ovr", ".OVR")
BESIDE_NAME = (".aux.xml", ".AUX.XML", *COMPANIONS)
BESIDE_STEM = (".aux.xml", ".tfw", ".TFW", ".tifw", ".tiffw", ".wld", ".WLD", ".tab", ".TAB", ".xml", "_metadata.xml")
IN_MEMORY = re.compile(r"'?/vsimem/[^/]+/[^/' ]+'?")
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# a raster on Earth in metres: no pixel is finer than a hand, nothing lies farther than a pole from the equator
FINEST_METRES, FARTHEST_METRES = 0.05, 4e7


@dataclass(frozen=True)
class RasterInfo:
    """What a raster file's header says.

    Attributes:
        path: The file.
        crs: Its CRS as authority code where it has one, else as WKT.
        bounds: West, south, east, north in its CRS.
        pixel: Pixel width in units of its CRS.
        tags: Its metadata, names in upper case.
        bands: What it calls its bands, in their order; empty where it does not.
        units: What it states as their units.
    """

    path: Path
    crs: str
    bounds: Bounds
    pixel: float
    tags: dict[str, str] = field(default_factory=dict, compare=False)
    bands: tuple[str, ...] = ("",)
    units: tuple[str, ...] = ("",)

    def bounds_in(self, crs: str) -> Bounds:
        """West, south, east, north in another CRS.

        Raises:
            DataError: The raster lies where that CRS does not reach.
        """
        if crs == self.crs:
            return self.bounds
        bounds = projected(self.crs, crs, self.bounds)
        if bounds is None:
            raise DataError(f"{self.path} lies outside of the grid's CRS; take it away, or set datamodule.grid.crs")
        return bounds


@dataclass(frozen=True)
class Placement:
    """Where a raster's pixels lie, seen with north above and east to the right.

    Attributes:
        crs: Its CRS.
        transform: Of its pixels once they are turned so.
        shape: Rows and columns.
        south_first: Whether the file stores the southernmost row first.
        east_first: Whether it stores the easternmost column first.
    """

    crs: CRS
    transform: Affine
    shape: tuple[int, int]
    south_first: bool = False
    east_first: bool = False

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north."""
        west, south, east, north = array_bounds(*self.shape, self.transform)
        return west, south, east, north

    @property
    def axes(self) -> tuple[slice, slice]:
        """What turns an array as it is stored to north above."""
        return slice(None, None, -1 if self.south_first else 1), slice(None, None, -1 if self.east_first else 1)

    def stored(self, part: Window) -> Window:
        """Where a part, counted from the north-west, lies in the file."""
        row = self.shape[0] - part.row - part.height if self.south_first else part.row
        col = self.shape[1] - part.col - part.width if self.east_first else part.col
        return Window(row, col, part.height, part.width)


def placement(source: Any, crs: str | None = None) -> Placement:
    """Where an open file's pixels lie; `crs` stands in place of its own."""
    stored, (height, width) = source.transform, source.shape
    south_first, east_first = stored.e > 0, stored.a < 0
    west = stored.c + (width * stored.a if east_first else 0)
    north = stored.f + (height * stored.e if south_first else 0)
    upright = Affine(abs(stored.a), 0, west, 0, -abs(stored.e), north)
    return Placement(source.crs if crs is None else known_crs(crs), upright, source.shape, south_first, east_first)


def inspect(path: Path, crs: str | None = None) -> RasterInfo:
    """Read a raster's header; `crs` stands in place of what the file declares.

    Raises:
        DataError: The file cannot be read, has no CRS or is rotated.
    """
    with opened(path, crs) as source:
        tags = {name.upper(): value for name, value in source.tags().items()}
        place = placement(source, crs)
        names = band_names(path, source)
        units = tuple(unit_of(source, number) for number in source.indexes)
        return RasterInfo(path, place.crs.to_string(), place.bounds, float(source.res[0]), tags, names, units)


@contextmanager
def opened(path: Path, crs: str | None = None, content: Content = None) -> Iterator[Any]:
    """The open file, with a CRS and not rotated; what GDAL says of a bad one names the file.

    Only GDAL's GeoTIFF driver may read it, and those of two other kinds of images that hold their own values: others
    (VRT, WMS) follow what is written in a file to other files and hosts.

    Args:
        path: The file.
        crs: What stands in place of its own CRS; None: its own.
        content: Where its bytes come from.

    Raises:
        DataError: The file cannot be read, holds complex values, or its place is not told or not possible.
    """
    with gdal_faults(path):
        _check_companions(path)
        with warnings.catch_warnings():
            # a file without georeference is refused below, in our words
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with _dataset(path, content) as source:
                _check_georeference(path, source, crs)
                _check_values_stored(path, source)
                yield source


@contextmanager
def gdal_faults(path: Path) -> Iterator[None]:
    """Let what GDAL says of a bad file name it.

    Raises:
        DataError: It cannot be read.
    """
    try:
        yield
    except (RasterioError, CRSError, OSError) as error:
        reason = IN_MEMORY.sub(path.name, " ".join(str(error.__cause__ or error).split()))
        reason = re.sub(rf"'?/vsiriopener_\w+/{re.escape(str(path))}'?", path.name, reason)
        reason = reason.replace(f"{path.name}, ", "").replace(f"'{path}' ", "")  # the name is said once
        cure = "replace the file, or leave it out with on_bad_file=skip"
        raise DataError(f"{path} cannot be read ({reason}); {cure}") from error


@contextmanager
def _dataset(path: Path, content: Content) -> Iterator[Any]:
    driver = DRIVERS.get(path.suffix.lower(), "GTiff")
    if content is None or isinstance(content, Streamed):
        with rasterio.open(path, driver=driver, opener=content) as source:
            yield source
        return
    with MemoryFile(content, filename=path.name) as memory, memory.open(driver=driver) as source:
        yield source


def stands_alone(path: Path) -> bool:
    """Whether nothing lies beside a raster that GDAL would read it with: masks, statistics, a world file."""
    whole, bare = str(path), str(path.with_suffix(""))
    beside = (*(whole + suffix for suffix in BESIDE_NAME), *(bare + suffix for suffix in BESIDE_STEM))
    return not any(map(os.path.exists, beside))


def _check_companions(path: Path) -> None:
    for companion in (path.with_name(path.name + suffix) for suffix in COMPANIONS):
        if companion.is_file():
            with companion.open("rb") as stream:
                if stream.read(4) not in TIFF_STARTS:
                    raise DataError(f"{companion}, which {path.name} would be read with, is no TIFF; take it away")


def refuse_too_large(path: Path, height: int, width: int, cure: str) -> None:
    """Refuse to read more pixels than memory holds, before anything is allocated.

    Raises:
        DataError: It would be more than `MAX_PIXELS`.
    """
    if height * width > MAX_PIXELS:
        raise DataError(f"{path}: {height} x {width} pixels are more than {MAX_PIXELS:.0e} can be read at once; {cure}")


def _check_georeference(path: Path, source: Any, crs: str | None) -> None:
    transform = source.transform
    if source.gcps[0] and transform == Affine.identity():
        raise DataError(f"{path} is placed by ground control points, not terrain-corrected; process it to a map")
    if source.crs is None and crs is None:
        raise DataError(f"{path} has no CRS; write one into it, e.g. with `rio edit-info --crs EPSG:32611`")
    if transform.b or transform.d or transform == Affine.identity() or 0 in (transform.a, transform.e):
        raise DataError(f"{path} is rotated or has no transform; rewrite it with `gdalwarp`")
    _check_coordinates(path, placement(source, crs))


def _check_coordinates(path: Path, placed: Placement) -> None:
    west, south, east, north = placed.bounds
    place = f"{west:g}..{east:g}, {south:g}..{north:g}"
    if not np.isfinite(placed.bounds).all():
        raise DataError(f"{path} lies at {place}, nowhere; write its transform anew with `gdal_edit.py -a_ullr`")
    if placed.crs.is_geographic and (south < -90.5 or north > 90.5 or west < -361 or east > 361):
        raise DataError(
            f"{path} is in degrees by its CRS and lies at x, y = {place}: metres, or longitude and latitude swapped; "
            "write its CRS and transform anew with `gdal_edit.py -a_srs -a_ullr`"
        )
    finest, farthest = min(placed.transform.a, -placed.transform.e), max(map(abs, placed.bounds))
    if placed.crs.is_projected and (finest < FINEST_METRES or farthest > FARTHEST_METRES):
        raise DataError(
            f"{path} is projected by its CRS and lies at x, y = {place} with pixels of {finest:g}: degrees? "
            "write its own CRS into it with `gdal_edit.py -a_srs`"
        )


def _check_values_stored(path: Path, source: Any) -> None:
    if len(source.subdatasets) > 1:
        raise DataError(
            f"{path} holds {len(source.subdatasets)} images, of which the first alone would be read; write each into a "
            "file, e.g. `gdal_translate GTIFF_DIR:2:FILE`"
        )
    kinds = [kind for kind in source.dtypes if kind.startswith("complex")]
    if kinds:
        raise DataError(f"{path} holds {kinds[0]} values (an SLC?); give calibrated, terrain-corrected real values")
    for height, width in source.block_shapes:
        refuse_too_large(path, height, width, "write it in tiles, e.g. `gdal_translate -co TILED=YES`")
    factors = (*source.scales, *source.offsets)
    if not np.isfinite(factors).all() or 0 in source.scales:
        raise DataError(f"{path} has the scale {source.scales[0]:g} and offset {source.offsets[0]:g}; correct its tags")


def projected(crs: str, onto: str, bounds: Bounds) -> Bounds | None:
    """Bounds in another CRS; None where that does not reach."""
    if known_crs(crs) == known_crs(onto):
        return bounds
    try:
        west, south, east, north = transform_bounds(known_crs(crs), known_crs(onto), *bounds)
    except RasterioError:
        return None
    return (west, south, east, north) if np.isfinite((west, south, east, north)).all() else None


@lru_cache
def known_crs(text: str) -> CRS:
    """The CRS of an authority code or WKT."""
    return CRS.from_user_input(text)
