"""Backscatter images: their names, their passes, and one pass on the grid."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import Resampling

from mlssm.config import BackscatterConfig, GridConfig
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Bounds, Grid, Window, merge_windows
from mlssm.sources.dated import index_dated
from mlssm.sources.raster import Array, BadFiles, inspect_all, raster_files, read_onto

log = logging.getLogger(__name__)

DATE_FORMAT = "%Y%m%dT%H%M%S"
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
        burst: The burst's name, or "" where the name does not tell.
        processed: Processing time as in the name, or "".
        bounds: West, south, east, north in the grid's CRS.
    """

    path: Path
    acquired: dt.datetime
    polarisation: str
    orbit: int
    burst: str
    processed: str
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
        ConfigError: The name pattern lacks a group.
        DataError: The folder is missing, holds no image, or a file is bad.
    """
    pattern = _compiled(config.pattern, "pattern", ("date", "polarisation"))
    files = raster_files(root / config.folder)
    named = [path for path in files if pattern.fullmatch(path.name)]
    incidence = _incidence_files(files, config)
    others = len(files) - len(named) - sum(len(paths) for paths in incidence.values())
    if others:
        log.warning("%d GeoTIFFs in %s do not match datamodule.backscatter.pattern: not used", others, root)
    if not named:
        raise DataError(
            f"no GeoTIFF in {root / config.folder} matches datamodule.backscatter.pattern "
            f"{config.pattern!r} (first file: {files[0].name})"
        )
    infos = inspect_all(named, bad)
    if not infos:
        raise DataError(f"none of the {len(named)} images in {root / config.folder} can be read")
    crs = grid.crs or Counter(info.crs for info in infos).most_common(1)[0][0]
    dated = index_dated([info.path for info in infos], config.pattern, DATE_FORMAT, crs)
    images = _newest(_image(path, acquired, box, pattern) for path, acquired, box in dated)
    pixel = grid.resolution_m or min(info.pixel for info in infos)
    laid = Grid.covering(crs, [image.bounds for image in images], pixel)
    areas = merge_windows(laid.window_of(image.bounds) for image in images)
    return BackscatterIndex(laid, areas, group_passes(images), incidence)


def _compiled(pattern: str, key: str, groups: Iterable[str]) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"datamodule.backscatter.{key}={pattern!r} is not a regular expression: {error}") from error
    for group in groups:
        if group not in compiled.groupindex:
            raise ConfigError(f"datamodule.backscatter.{key}={pattern!r} lacks the group (?P<{group}>...)")
    return compiled


def _orbit(groups: dict[str, Any]) -> int:
    return int(groups.get("orbit") or 0)


def _incidence_files(files: Sequence[Path], config: BackscatterConfig) -> dict[int, tuple[Path, ...]]:
    if config.incidence_pattern is None:
        return {}
    pattern = _compiled(config.incidence_pattern, "incidence_pattern", ("orbit",))
    found: dict[int, tuple[Path, ...]] = {}
    for path in files:
        if match := pattern.fullmatch(path.name):
            orbit = _orbit(match.groupdict())
            found[orbit] = (*found.get(orbit, ()), path)
    return found


def _image(path: Path, acquired: dt.datetime, bounds: Bounds, pattern: re.Pattern[str]) -> Image:
    match = pattern.fullmatch(path.name)
    groups = match.groupdict() if match else {}
    burst, processed = groups.get("burst") or "", groups.get("processed") or ""
    return Image(path, acquired, groups["polarisation"], _orbit(groups), burst, processed, bounds)


def _newest(images: Iterable[Image]) -> list[Image]:
    """Keep the newest processing of a burst that was delivered more than once."""
    kept: dict[tuple[object, ...], Image] = {}
    for image in images:
        key = (image.burst or image.path.name, image.acquired, image.polarisation)
        known = kept.get(key)
        if known is not None:
            log.warning("%s was delivered twice; the newest processing is used", image.path.name)
        if known is None or image.processed > known.processed:
            kept[key] = image
    return list(kept.values())


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
        window = grid.window_of(image.bounds)
        if image.polarisation != polarisation or not window.intersects(area):
            continue
        with bad.handled(image.path):
            power = _power(read_onto(image.path, grid, window, Resampling.bilinear), units)
            valid = np.isfinite(power) & (power > 0)
            inside = window.within(area).slices
            total[inside] += np.where(valid, power, 0)
            count[inside] += valid
    if not count.any():
        return None
    mean = np.divide(total, count, out=np.full(area.shape, np.nan), where=count > 0)
    return np.asarray(10 * np.log10(mean), np.float32)


def _power(values: Array, units: str) -> Array:
    return np.asarray(10 ** (values / 10), np.float32) if units == "dB" else values
