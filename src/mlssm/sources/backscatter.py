"""Backscatter images: their names, their passes, and one pass on the grid."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError

from mlssm.config import BackscatterConfig, GridConfig
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid, Window, merge_windows
from mlssm.sources.checks.backscatter import Units, backscatter_layer, check_loss
from mlssm.sources.dated import DatedRaster, by_pattern, compile_pattern, index_dated, name_match
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.folder import raster_files
from mlssm.sources.opening import refuse_too_large
from mlssm.sources.passes import Image, Pass, derive_orbits, group_passes, newest_processing, without_copies
from mlssm.sources.raster import read_onto

DATE_FORMATS = ("%Y%m%dT%H%M%S",)
# tags by which producers state the relative orbit
ORBIT_TAGS = ("TRACK_NUMBER", "RELATIVE_ORBIT_NUMBER", "RELATIVE_ORBIT")
SMALLER = "cut the images to the area, or set a coarser datamodule.grid.resolution_m"


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


def index_backscatter(
    root: Path, config: BackscatterConfig, grid: GridConfig, bad: BadFiles, latest: dt.datetime | None = None
) -> BackscatterIndex:
    """Find all backscatter images of an area and lay the grid that holds them.

    Args:
        root: The area's folder.
        config: Where the images are and what their names mean.
        grid: What the user fixed of the grid; the rest is taken from the images.
        bad: Whether a file that cannot be read stops the run or is left out.
        latest: As in `index_dated`.

    Raises:
        ConfigError: A name pattern lacks a group, or the grid's CRS is unknown.
        DataError: The folder is missing, holds no image, or a file is bad.
    """
    files = raster_files(root / config.folder, bad)
    incidence = _incidence_files(files, config)
    angles = {path for paths in incidence.values() for path in paths}
    dated = newest_processing(_dated([path for path in files if path not in angles], config, bad, latest))
    dated = [raster for raster in dated if _is_readable(raster, bad)]
    if not dated:
        raise DataError(f"no image in {root / config.folder} can be used; see the warnings above")
    crs = _grid_crs(dated, grid)
    pixel = _grid_pixel(dated, crs, grid)
    # the grid's corner is that of the first image: one with the grid's pixels, so that its like are copied, not warped
    dated.sort(key=lambda raster: (raster.info.crs != crs, raster.info.pixel != pixel))
    images = []
    for raster in dated:
        with bad.handled(raster.info.path):
            images.append(_image(raster, crs, pixel))
    if not images:
        raise DataError(f"no image in {root / config.folder} lies on the grid; see the warnings above")
    laid = Grid.covering(crs, [image.bounds for image in images], pixel)
    areas = merge_windows(laid.window_of(image.bounds) for image in images)
    for area in areas:
        refuse_too_large(root / config.folder, *area.shape, SMALLER)
    with_burst = {raster.info.path for raster in dated if "burst" in raster.groups}
    passes = derive_orbits(without_copies(group_passes(images), with_burst, bad))
    return BackscatterIndex(laid, areas, passes, _usable_incidence(incidence, passes))


def _dated(
    files: Sequence[Path], config: BackscatterConfig, bad: BadFiles, latest: dt.datetime | None
) -> list[DatedRaster]:
    pattern = compile_pattern(config.pattern, "backscatter.pattern", ("date", "polarisation"))
    named = [path for path in files if name_match(pattern, path)]
    others = sorted(set(files) - set(named))
    if not named:
        raise DataError(
            f"no GeoTIFF in {config.folder} matches datamodule.backscatter.pattern {config.pattern!r} "
            f"(first file: {others[0].name if others else 'an incidence angle'})"
        )
    if others:
        bad.say(
            f"{len(others)} GeoTIFFs in {others[0].parent} do not match datamodule.backscatter.pattern: not used "
            f"(first: {others[0].name})"
        )
    dated = index_dated(named, by_pattern(pattern), DATE_FORMATS, bad, latest)
    if not dated:
        raise DataError(f"none of the {len(named)} images in {named[0].parent} can be read; see the warnings above")
    return dated


def _is_readable(raster: DatedRaster, bad: BadFiles) -> bool:
    west, south, east, north = raster.info.bounds
    with bad.handled(raster.info.path):
        size = ((north - south) / raster.info.pixel, (east - west) / raster.info.pixel)
        refuse_too_large(raster.info.path, round(size[0]), round(size[1]), SMALLER)
        return True
    return False


def _usable_incidence(incidence: dict[int, tuple[Path, ...]], passes: Sequence[Pass]) -> dict[int, tuple[Path, ...]]:
    """The incidence angles, if those without an orbit are of one orbit.

    Raises:
        DataError: One file is to serve passes of several orbits.
    """
    orbits = {overpass.orbit for overpass in passes}
    if 0 in incidence and 0 not in orbits and len(orbits) > 1:
        raise DataError(
            f"{incidence[0][0]} has no orbit number, but the passes are of several orbits; write the relative orbit "
            "into its name and into those of the images"
        )
    return incidence


def _incidence_files(files: Sequence[Path], config: BackscatterConfig) -> dict[int, tuple[Path, ...]]:
    if config.incidence_pattern is None:
        return {}
    pattern = compile_pattern(config.incidence_pattern, "backscatter.incidence_pattern", ("orbit",))
    found: dict[int, tuple[Path, ...]] = {}
    for path in files:
        if match := name_match(pattern, path):
            orbit = int(match["orbit"] or 0)
            found[orbit] = (*found.get(orbit, ()), path)
    return found


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


def _image(raster: DatedRaster, crs: str, pixel: float) -> Image:
    groups, tags = raster.groups, raster.info.tags
    stated = [groups.get("orbit"), *(tags.get(tag) for tag in ORBIT_TAGS)]
    orbit = next((int(number) for number in stated if number and number.isdecimal()), 0)
    bounds = raster.info.bounds_in(crs)
    width, height = ((bounds[side + 2] - bounds[side]) / pixel for side in (0, 1))
    refuse_too_large(raster.info.path, int(height), int(width), SMALLER)
    return Image(raster.info.path, raster.time, groups["polarisation"], orbit, bounds, groups.get("platform") or "")


def read_pass(overpass: Pass, polarisation: str, grid: Grid, area: Window, units: Units, bad: BadFiles) -> Array | None:
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
    layer = backscatter_layer(polarisation, units, bad)
    total, count = np.zeros(area.shape), np.zeros(area.shape, np.int32)
    for image in overpass.images:
        window = grid.window_of(image.bounds).intersection(area)
        if image.polarisation != polarisation or 0 in window.shape:
            continue
        with bad.handled(image.path):
            power = read_onto(image.path, grid, window, Resampling.bilinear, layer)
            check_loss(image.path, power, bad)
            valid = np.isfinite(power)
            inside = window.within(area).slices
            total[inside] += np.where(valid, power, 0)
            count[inside] += valid
    # noise that was subtracted may leave a mean below zero: no decibels
    measured = (count > 0) & (total > 0)
    if not measured.any():
        return None
    mean = np.divide(total, count, out=np.full(area.shape, np.nan), where=measured)
    return np.asarray(10 * np.log10(mean), np.float32)
