"""Backscatter images: their names, their passes, and one pass on the grid."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError

from mlssm.config import BackscatterConfig, GridConfig
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Bounds, Grid, Window, merge_windows
from mlssm.sources.dated import DatedRaster, compile_pattern, index_dated
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.raster import Convert, raster_files, read_onto

log = logging.getLogger(__name__)

DATE_FORMATS = ("%Y%m%dT%H%M%S",)
# bursts of one overpass follow one another by seconds; two overpasses of an orbit are days apart
SAME_PASS = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Image:
    """One burst (or scene) in one polarisation.

    Attributes:
        path: The file.
        acquired: Acquisition time, UTC.
        polarisation: VV, VH, HH or HV.
        orbit: Relative orbit (track) number; 0 where the name does not tell.
        bounds: West, south, east, north in the grid's CRS.
    """

    path: Path
    acquired: dt.datetime
    polarisation: str
    orbit: int
    bounds: Bounds


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


@dataclass(frozen=True)
class BackscatterIndex:
    """All images of an area on their common grid.

    Attributes:
        grid: The grid.
        areas: The parts of the grid that images cover; they do not overlap.
        passes: In the order of time.
        incidence: Files of incidence angle by relative orbit.
    """

    grid: Grid
    areas: tuple[Window, ...]
    passes: tuple[Pass, ...]
    incidence: dict[int, tuple[Path, ...]]

    @property
    def polarisations(self) -> tuple[str, ...]:
        """All polarisations, sorted with co-polarised ones first."""
        found = set().union(*(overpass.polarisations for overpass in self.passes))
        return tuple(sorted(found, key=lambda pol: (pol[0] != pol[1], pol)))


def index_backscatter(root: Path, config: BackscatterConfig, grid: GridConfig, bad: BadFiles) -> BackscatterIndex:
    """Find all backscatter images of an area and lay the grid that holds them.

    Args:
        root: The area's folder.
        config: Where the images are and what their names mean.
        grid: What the user fixed of the grid; the rest is taken from the images.
        bad: Whether a file that cannot be read stops the run or is left out.

    Raises:
        ConfigError: A name pattern lacks a group, or the grid's CRS is unknown.
        DataError: The folder is missing, holds no image, or a file is bad.
    """
    files = raster_files(root / config.folder)
    incidence = _incidence_files(files, config)
    dated = _newest(_dated(files, config, bad, sum(len(paths) for paths in incidence.values())))
    crs = _grid_crs(dated, grid)
    pixel = _grid_pixel(dated, crs, grid)
    # the grid's corner is that of the first image: one with the grid's pixels, so that its like are copied, not warped
    dated.sort(key=lambda raster: (raster.info.crs != crs, raster.info.pixel != pixel))
    images = []
    for raster in dated:
        with bad.handled(raster.info.path):
            images.append(_image(raster, crs))
    laid = Grid.covering(crs, [image.bounds for image in images], pixel)
    areas = merge_windows(laid.window_of(image.bounds) for image in images)
    return BackscatterIndex(laid, areas, group_passes(images), incidence)


def _dated(files: Sequence[Path], config: BackscatterConfig, bad: BadFiles, angles: int) -> list[DatedRaster]:
    pattern = compile_pattern(config.pattern, "backscatter.pattern", ("date", "polarisation"))
    named = [path for path in files if pattern.fullmatch(path.name)]
    if not named:
        raise DataError(
            f"no GeoTIFF in {files[0].parent} matches datamodule.backscatter.pattern "
            f"{config.pattern!r} (first file: {files[0].name})"
        )
    if others := len(files) - len(named) - angles:
        log.warning("%d GeoTIFFs in %s do not match datamodule.backscatter.pattern: not used", others, files[0].parent)
    dated = index_dated(named, pattern, DATE_FORMATS, bad)
    if not dated:
        raise DataError(f"none of the {len(named)} images in {files[0].parent} can be read; see the warnings above")
    return dated


def _incidence_files(files: Sequence[Path], config: BackscatterConfig) -> dict[int, tuple[Path, ...]]:
    if config.incidence_pattern is None:
        return {}
    pattern = compile_pattern(config.incidence_pattern, "backscatter.incidence_pattern", ("orbit",))
    found: dict[int, tuple[Path, ...]] = {}
    for path in files:
        if match := pattern.fullmatch(path.name):
            orbit = int(match["orbit"] or 0)
            found[orbit] = (*found.get(orbit, ()), path)
    return found


def _newest(dated: Iterable[DatedRaster]) -> list[DatedRaster]:
    """Keep the newest processing of a burst that was delivered more than once."""
    kept: dict[tuple[object, ...], DatedRaster] = {}
    for raster in sorted(dated, key=lambda raster: raster.groups.get("processed", "")):
        name = raster.groups.get("burst", raster.info.path.name)
        key = (name, raster.time, raster.groups["polarisation"])
        if older := kept.get(key):
            log.warning("%s was processed anew: %s is used", older.info.path.name, raster.info.path.name)
        kept[key] = raster
    return sorted(kept.values(), key=lambda raster: (raster.time, raster.info.path.name))


def _grid_crs(dated: Sequence[DatedRaster], grid: GridConfig) -> str:
    if grid.crs is None:
        return Counter(raster.info.crs for raster in dated).most_common(1)[0][0]
    try:
        return str(CRS.from_user_input(grid.crs).to_string())
    except CRSError:
        raise ConfigError(f"datamodule.grid.crs={grid.crs} is not known; give e.g. EPSG:32611") from None


def _grid_pixel(dated: Sequence[DatedRaster], crs: str, grid: GridConfig) -> float:
    if grid.resolution_m is not None:
        return grid.resolution_m
    pixels = [raster.info.pixel for raster in dated if raster.info.crs == crs]
    if not pixels:
        raise ConfigError(f"no image is in datamodule.grid.crs={crs}; set datamodule.grid.resolution_m too")
    return min(pixels)


def _image(raster: DatedRaster, crs: str) -> Image:
    groups = raster.groups
    bounds = raster.info.bounds_in(crs)
    return Image(raster.info.path, raster.time, groups["polarisation"], int(groups.get("orbit", 0)), bounds)


def group_passes(images: Iterable[Image]) -> tuple[Pass, ...]:
    """Put the images of one overpass together: the same relative orbit, minutes apart."""
    groups: list[list[Image]] = []
    for image in sorted(images, key=lambda item: (item.orbit, item.acquired, item.path.name)):
        last = groups[-1][-1] if groups else None
        if last and last.orbit == image.orbit and image.acquired - last.acquired <= SAME_PASS:
            groups[-1].append(image)
        else:
            groups.append([image])
    passes = [Pass(group[0].acquired, group[0].orbit, tuple(group)) for group in groups]
    return tuple(sorted(passes, key=lambda overpass: (overpass.acquired, overpass.orbit)))


def read_pass(overpass: Pass, polarisation: str, grid: Grid, area: Window, units: str, bad: BadFiles) -> Array | None:
    """One pass in one polarisation on one area; bursts that overlap are averaged in linear power.

    Args:
        overpass: The pass.
        polarisation: Which images of it.
        grid: The grid.
        area: A window of it.
        units: "linear" power or "dB", as the files have it.
        bad: Whether a truncated file stops the run or is left out.

    Returns:
        float32 [height, width] in dB, NaN where nothing was measured; None if nothing was.

    Raises:
        DataError: A file cannot be read.
    """
    total, count = np.zeros(area.shape), np.zeros(area.shape, np.int32)
    for image in overpass.images:
        window = grid.window_of(image.bounds).intersection(area)
        if image.polarisation != polarisation or 0 in window.shape:
            continue
        with bad.handled(image.path):
            power = read_onto(image.path, grid, window, Resampling.bilinear, _to_power(image.path, units))
            valid = np.isfinite(power)
            inside = window.within(area).slices
            total[inside] += np.where(valid, power, 0)
            count[inside] += valid
    if not count.any():
        return None
    mean = np.divide(total, count, out=np.full(area.shape, np.nan), where=count > 0)
    return np.asarray(10 * np.log10(mean), np.float32)


def _to_power(path: Path, units: str) -> Convert:
    """Takes a file's values to linear power, so that warping averages power; what is not positive is missing."""

    def convert(values: Array) -> Array:
        known = values[np.isfinite(values)]
        if units == "linear" and np.count_nonzero(known < 0) > known.size / 2:
            raise DataError(f"{path} holds {known.min():g}, no linear power; set datamodule.backscatter.units=dB?")
        if units == "dB" and known.size and known.min() > 0:
            raise DataError(f"{path} holds {known.min():g} dB and more; set datamodule.backscatter.units=linear?")
        with np.errstate(over="ignore"):
            power = 10 ** (values / 10) if units == "dB" else values
        return np.where(np.isfinite(power) & (power > 0), power, np.nan).astype(np.float32)

    return convert
