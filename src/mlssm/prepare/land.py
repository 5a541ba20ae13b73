"""What the land is like: terrain, soil, vegetation, onto the grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlssm import cube
from mlssm.config import DatamoduleConfig
from mlssm.cube import Array
from mlssm.cube_writer import CubeWriter
from mlssm.errors import DataError
from mlssm.grid import Grid
from mlssm.progress import track
from mlssm.sources.backscatter import BackscatterIndex
from mlssm.sources.checks.soil import check_class_count
from mlssm.sources.checks.terrain import check_stations, elevation_files
from mlssm.sources.faults import BadFiles
from mlssm.sources.folder import raster_files
from mlssm.sources.ndvi import NdviImage, read_ndvi
from mlssm.sources.static import elevation_at, read_soil, read_terrain
from mlssm.variables import of_kind
from mlssm.weather.agreement import height_warnings
from mlssm.weather.stations import StationWeather

log = logging.getLogger(__name__)

# a source that reaches fewer of the images' pixels is said to have gaps, and of even fewer warned
WHOLE, MOSTLY = 0.99, 0.9


def write_static(
    writer: CubeWriter, config: DatamoduleConfig, index: BackscatterIndex, bad: BadFiles
) -> tuple[str, ...]:
    """Write the static features that the configuration has, and return their names."""
    layers: dict[str, list[Array]] = {}
    if config.dem is not None:
        files = elevation_files(raster_files(config.root / config.dem.folder, bad), bad)
        terrain = [read_terrain(files, index.grid, area, bad) for area in index.areas]
        layers |= {name: [found[name] for found in terrain] for name in terrain[0]}
        check_reached("dem", files, layers["elevation"], bad)
    if config.soil is not None:
        files = raster_files(config.root / config.soil.folder, bad)
        layers["soil"] = [read_soil(files, index.grid, area, bad) for area in index.areas]
        check_reached("soil", files, layers["soil"], bad)
        codes = np.unique(np.concatenate([np.unique(values) for values in layers["soil"]]))
        check_class_count(config.root / config.soil.folder, codes[np.isfinite(codes)])
    units = ", ".join([*(f"{item.name} {item.unit}" for item in of_kind("fixed")), "soil class code"])
    array = writer.raster("static", ("feature",), (len(layers),), None, units)
    for position, parts in enumerate(layers.values()):
        for area, values in zip(index.areas, parts, strict=True):
            array[position, *area.slices] = values
    return tuple(layers)


def check_heights(files: Sequence[Path], weather: StationWeather, grid: Grid, bad: BadFiles) -> None:
    """Hold the DEM against the heights that the stations state: another unit shows."""
    x, y = grid.project(weather.longitude, weather.latitude)
    terrain = elevation_at(files, grid, x, y, bad)
    if warning := check_stations(files[0], terrain, np.asarray(weather.elevation_m)):
        log.warning(warning)
    for warning in height_warnings(weather, terrain):
        log.warning(warning)


def check_reached(key: str, files: Sequence[Path], layers: Sequence[Array], bad: BadFiles) -> None:
    """Refuse a source without a single value on the images.

    Raises:
        DataError: None of its files can be read, or none overlaps the images.
    """
    place = files[0] if len(files) == 1 else files[0].parent
    known = [np.isfinite(values) for values in layers]
    if any(values.any() for values in known):
        share = sum(values.sum() for values in known) / sum(values.size for values in known)
        if share < WHOLE:
            level = logging.INFO if share > MOSTLY else logging.WARNING  # water has no soil
            log.log(level, "%s reaches %.0f %% of the images' pixels; elsewhere %s is missing", place, 100 * share, key)
        return
    if all(path.name in bad.skipped for path in files):
        raise DataError(f"nothing in {place} can be read; replace it, or set datamodule.{key}=null to leave it out")
    raise DataError(f"{place} does not overlap the images; give {key} of the same place, or set datamodule.{key}=null")


def write_ndvi(writer: CubeWriter, images: Sequence[NdviImage], index: BackscatterIndex, bad: BadFiles) -> None:
    """Write the NDVI images that have a value anywhere."""
    if not images:
        return
    array = writer.raster("ndvi", ("ndvi_time",), (len(images),), cube.NDVI_SCALE, "1")
    kept: list[NdviImage] = []
    for image in track(images, "NDVI onto the grid"):
        layers = [read_ndvi(image, index.grid, area, bad) for area in index.areas]
        # a day without a value would hide the one before it
        if any(np.isfinite(values).any() for values in layers):
            for area, values in zip(index.areas, layers, strict=True):
                array[len(kept), *area.slices] = cube.pack(values, cube.NDVI_SCALE)
            kept.append(image)
    if not kept:
        check_reached("ndvi", [path for image in images for path in image.paths], [], bad)
    array.resize((len(kept), *array.shape[1:]))
    writer.days("ndvi_time", (image.day for image in kept), "ndvi_time")
