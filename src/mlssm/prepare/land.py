"""What the land is like: terrain, soil, vegetation and further layers, onto the grid."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from mlssm import cube
from mlssm.config import DatamoduleConfig
from mlssm.cube import Array
from mlssm.cube_writer import CubeWriter
from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.progress import track
from mlssm.sources.backscatter import BackscatterIndex
from mlssm.sources.checks.soil import check_class_count
from mlssm.sources.checks.terrain import check_stations, elevation_files
from mlssm.sources.classes import Classes, check_same_tables, classes_of
from mlssm.sources.faults import BadFiles
from mlssm.sources.folder import raster_files
from mlssm.sources.images import DatedImage
from mlssm.sources.layers import LayerFiles, read_layer
from mlssm.sources.ndvi import NdviImage, read_ndvi
from mlssm.sources.static import read_soil
from mlssm.sources.terrain import elevation_at, read_terrain
from mlssm.variables import of_kind, unit_of
from mlssm.weather.agreement import height_warnings
from mlssm.weather.stations import StationWeather

log = logging.getLogger(__name__)

# a source that reaches fewer of the images' pixels is said to have gaps, and of even fewer warned
WHOLE, MOSTLY = 0.99, 0.9


def gap_days(config: DatamoduleConfig) -> dict[str, int]:
    """How much older than its image a value may be that fills a gap, days, of each dated source."""
    found = {name: source.max_gap_days for name, source in config.layers.items() if source.kind == "dated"}
    return found if config.ndvi is None else {"ndvi": config.ndvi.max_gap_days, **found}


@dataclass(frozen=True)
class Static:
    """What was written of no date.

    Attributes:
        features: Names, in the order of the array.
        classes: Of features whose classes have names, the name of each number.
    """

    features: tuple[str, ...]
    classes: dict[str, dict[int, str]]


def write_static(
    writer: CubeWriter,
    config: DatamoduleConfig,
    index: BackscatterIndex,
    layers: Sequence[LayerFiles],
    bad: BadFiles,
) -> Static:
    """Write the static features that the configuration has."""
    found: dict[str, list[Array]] = {}
    classes: dict[str, dict[int, str]] = {}
    if config.dem is not None:
        found |= _terrain(config.root / config.dem.folder, config.terrain, index, bad)
    if config.soil is not None:
        names = classes_of(config.root, config.soil.classes, config.soil.table, bad)
        found["soil"] = _soil(config.root / config.soil.folder, names, index, bad)
        classes["soil"] = dict(names.names)
    for layer in (layer for layer in layers if layer.source.kind != "dated"):
        found[layer.name] = _layer(layer, layer.images[0], index, bad)
        classes[layer.name] = dict(layer.classes.names)
    units = ", ".join(f"{item.name} {item.unit}" for item in of_kind("fixed", "classes") if item.name in found)
    array = writer.raster("static", ("feature",), (len(found),), None, units)
    for position, parts in enumerate(found.values()):
        for extent, values in zip(index.extents, parts, strict=True):
            array[position, *extent.slices] = values
    return Static(tuple(found), {name: names for name, names in classes.items() if names})


def _terrain(folder: Path, derived: Sequence[str], index: BackscatterIndex, bad: BadFiles) -> dict[str, list[Array]]:
    files = elevation_files(raster_files(folder, bad), bad)
    terrain = [read_terrain(files, index.grid, extent, bad, derived) for extent in index.extents]
    layers = {name: [found[name] for found in terrain] for name in terrain[0]}
    check_reached("dem", files, layers["elevation"], bad)
    return layers


def _soil(folder: Path, names: Classes, index: BackscatterIndex, bad: BadFiles) -> list[Array]:
    files = raster_files(folder, bad)
    check_same_tables(files, bad)
    found = [read_soil(files, index.grid, extent, bad, names) for extent in index.extents]
    check_reached("soil", files, found, bad)
    _check_classes(folder, found)
    return found


def _layer(layer: LayerFiles, image: DatedImage, index: BackscatterIndex, bad: BadFiles) -> list[Array]:
    found = [read_layer(layer, image, index.grid, extent, bad) for extent in index.extents]
    check_reached(f"layers.{layer.name}", image.paths, found, bad)
    if layer.source.kind == "classes":
        _check_classes(image.paths[0], found)
    return found


def _check_classes(path: Path, extents: Sequence[Array]) -> None:
    codes = np.unique(np.concatenate([np.unique(values) for values in extents]))
    check_class_count(path, codes[np.isfinite(codes)])


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

    def read(image: NdviImage, extent: Window) -> Array:
        return read_ndvi(image, index.grid, extent, bad)

    _write_dated(writer, "ndvi", images, read, index, bad)


def write_dated_layers(
    writer: CubeWriter, layers: Sequence[LayerFiles], index: BackscatterIndex, bad: BadFiles
) -> tuple[str, ...]:
    """Write the layers of dated images, and return their names."""
    dated = tuple(layer for layer in layers if layer.source.kind == "dated")
    for layer in dated:

        def read(image: DatedImage, extent: Window, layer: LayerFiles = layer) -> Array:
            return read_layer(layer, image, index.grid, extent, bad)

        _write_dated(writer, layer.name, layer.images, read, index, bad)
    return tuple(layer.name for layer in dated)


Image = TypeVar("Image", bound=DatedImage)


def _write_dated(
    writer: CubeWriter,
    name: str,
    images: Sequence[Image],
    read: Callable[[Image, Window], Array],
    index: BackscatterIndex,
    bad: BadFiles,
) -> None:
    """Write the images that have a value anywhere."""
    if not images:
        return
    key, scale = cube.dated_array(name), cube.NDVI_SCALE if name == "ndvi" else None
    array = writer.raster(key, (f"{key}_time",), (len(images),), scale, unit_of(name))
    kept: list[Image] = []
    for image in track(images, f"{name} onto the grid"):
        layers = [read(image, extent) for extent in index.extents]
        # a day without a value would hide the one before it
        if any(np.isfinite(values).any() for values in layers):
            for extent, values in zip(index.extents, layers, strict=True):
                array[len(kept), *extent.slices] = values if scale is None else cube.pack(values, scale)
            kept.append(image)
    if not kept:
        paths = [path for image in images for path in image.paths]
        check_reached(name if name == "ndvi" else f"layers.{name}", paths, [], bad)
    array.resize((len(kept), *array.shape[1:]))
    writer.days(f"{key}_time", (image.day for image in kept), f"{key}_time")
