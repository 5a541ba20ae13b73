"""Backscatter images: their names, their passes, and one pass on the grid."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rasterio.crs import CRS
from rasterio.errors import CRSError

from mlssm.config import BackscatterConfig, GridConfig
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid, Window, merge_windows
from mlssm.sources.acquired import acquired, tell_other_time
from mlssm.sources.angles import find_angles
from mlssm.sources.checks.header import Stored
from mlssm.sources.dated import DatedRaster, check_time, tomorrow
from mlssm.sources.faults import BadFiles
from mlssm.sources.holdings import holdings
from mlssm.sources.image_on_grid import SMALLER, image_on_grid
from mlssm.sources.naming import Names, read_names
from mlssm.sources.opening import inspect, refuse_too_large
from mlssm.sources.passes import Image, Pass, derive_orbits, group_passes, newest_processing, without_copies
from mlssm.sources.recognised import tell_doubtful_times, tell_lonely_extents, tell_recognised


@dataclass(frozen=True)
class BackscatterIndex:
    """All images of an area on their common grid.

    Attributes:
        grid: The grid.
        extents: The parts of the grid that images cover; they do not overlap.
        passes: In the order of time.
        incidence: Files of incidence angle by relative orbit.
        angle: How these hold it; None where there are none.
    """

    grid: Grid
    extents: tuple[Window, ...]
    passes: tuple[Pass, ...]
    incidence: dict[int, tuple[Path, ...]]
    angle: Stored | None = None

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
    names = read_names(root, config, bad)
    dated = newest_processing(_dated(names, _known(config), bad, latest))
    dated = [raster for raster in dated if _is_readable(raster, bad)]
    if not dated:
        raise DataError(f"no image in {root / config.folder} can be used; see the warnings above")
    laid, images = _laid(root / config.folder, dated, grid, bad)
    extents = merge_windows(laid.window_of(image.bounds) for image in images)
    for extent in extents:
        refuse_too_large(root / config.folder, *extent.shape, SMALLER)
    told_apart = {raster.info.path for raster in dated if raster.groups.keys() & {"burst", "tile"}}
    passes = derive_orbits(without_copies(group_passes(images), told_apart, bad))
    angles = find_angles(names, dated, passes, config)
    tell_recognised(root / config.folder, names, passes, angles.files, bad)
    tell_doubtful_times(laid, passes, bad)
    tell_lonely_extents(laid, extents, passes, bad)
    return BackscatterIndex(laid, extents, passes, angles.files, angles.stored)


def _laid(folder: Path, dated: Sequence[DatedRaster], grid: GridConfig, bad: BadFiles) -> tuple[Grid, list[Image]]:
    """The grid that holds the images, and the images on it."""
    crs = _grid_crs(dated, grid)
    pixel = _grid_pixel(dated, crs, grid)
    images = []
    # the grid's corner is that of the first image: one with the grid's pixels, so that its like are copied, not warped
    for raster in sorted(dated, key=lambda raster: (raster.info.crs != crs, raster.info.pixel != pixel)):
        with bad.handled(raster.info.path):
            images.append(image_on_grid(raster, crs, pixel))
    if not images:
        raise DataError(f"no image in {folder} lies on the grid; see the warnings above")
    return Grid.covering(crs, [image.bounds for image in images], pixel), images


def _known(config: BackscatterConfig) -> BackscatterConfig:
    """The section, with its CRS as GDAL writes it.

    Raises:
        ConfigError: There is no such CRS.
    """
    if config.crs is None:
        return config
    return config.model_copy(update={"crs": _crs(config.crs, "backscatter.crs")})


def _dated(names: Names, config: BackscatterConfig, bad: BadFiles, latest: dt.datetime | None) -> list[DatedRaster]:
    """Each polarisation of each image, in the order of time."""
    found = []
    for path, named in names.images.items():
        with bad.handled(path):
            info = inspect(path, config.crs)
            time = acquired(info, named, config)
            check_time(info, time, latest or tomorrow())
            tell_other_time(info, time, bad)
            for polarisation, stored in holdings(info, named, config).items():
                found.append(DatedRaster(info, time, named.groups | {"polarisation": polarisation}, stored))
    if not found:
        raise DataError(
            f"none of the {len(names.images)} images in {next(iter(names.images)).parent} can be read; see the "
            "warnings above"
        )
    return sorted(found, key=lambda raster: (raster.time, raster.info.path.name))


def _is_readable(raster: DatedRaster, bad: BadFiles) -> bool:
    west, south, east, north = raster.info.bounds
    with bad.handled(raster.info.path):
        size = ((north - south) / raster.info.pixel, (east - west) / raster.info.pixel)
        refuse_too_large(raster.info.path, round(size[0]), round(size[1]), SMALLER)
        return True
    return False


def _grid_crs(dated: Sequence[DatedRaster], grid: GridConfig) -> str:
    if grid.crs is None:
        return Counter(raster.info.crs for raster in dated).most_common(1)[0][0]
    return _crs(grid.crs, "grid.crs")


def _crs(text: str, key: str) -> str:
    try:
        return str(CRS.from_user_input(text).to_string())
    except CRSError:
        raise ConfigError(f"datamodule.{key}={text} is not known; give e.g. EPSG:32611") from None


def _grid_pixel(dated: Sequence[DatedRaster], crs: str, grid: GridConfig) -> float:
    if grid.resolution_m is not None:
        return grid.resolution_m
    pixels = [raster.info.pixel for raster in dated if raster.info.crs == crs]
    if not pixels:
        raise ConfigError(f"no image is in datamodule.grid.crs={crs}; set datamodule.grid.resolution_m too")
    return min(pixels)
