"""Further layers of an area: which files they are, and how they come onto the grid."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import Resampling

from mlssm.config.layers import LayerSource
from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.sources import torchgeo_files
from mlssm.sources.checks.header import Band, Kind, Layer, find_band
from mlssm.sources.checks.soil import class_layer, disagree
from mlssm.sources.classes import Classes, check_same_tables, classes_of
from mlssm.sources.faults import Array, BadFiles, Limits, without
from mlssm.sources.folder import raster_files
from mlssm.sources.images import DatedImage, index_images
from mlssm.sources.mosaic import Mosaic, Reading
from mlssm.sources.raster import Lend, from_disk


@dataclass(frozen=True)
class LayerFiles:
    """A layer's files.

    Attributes:
        name: The layer.
        source: Its settings.
        images: Of each day its files, in the order of the days; of a layer without dates one image, of no day.
        classes: Which class each code is of.
        band: Number of the band; None: the only one, or the one that `source.band` describes.
        computed: torchgeo's dataset, where its samples are not what the files hold.
    """

    name: str
    source: LayerSource
    images: tuple[DatedImage, ...]
    classes: Classes
    band: int | None = None
    computed: Any = None


def index_layers(
    root: Path, layers: Mapping[str, LayerSource], bad: BadFiles, latest: dt.datetime | None = None
) -> tuple[LayerFiles, ...]:
    """The files of an area's layers.

    Args:
        root: The area's folder.
        layers: By name.
        bad: Whether a bad file stops the run or is left out.
        latest: No image can be of a later time; None: of none later than tomorrow.

    Raises:
        ConfigError: A class, an argument, a band or a pattern is wrong.
        DataError: Files are missing or bad, or of several dates where there may be one.
    """
    return tuple(_index(root, name, source, bad, latest) for name, source in layers.items())


def layer_paths(root: Path, layers: Mapping[str, LayerSource], bad: BadFiles) -> list[Path]:
    """All files that layers are made from, tables too."""
    found = [path for layer in index_layers(root, layers, bad) for image in layer.images for path in image.paths]
    tables = [root / source.table.file for source in layers.values() if source.table is not None]
    return [*found, *(path for path in tables if path.is_file())]


def _index(root: Path, name: str, source: LayerSource, bad: BadFiles, latest: dt.datetime | None) -> LayerFiles:
    paths = [root / path for path in source.paths]
    for path in paths:
        if not path.exists():
            raise DataError(f"datamodule.layers.{name}.paths: {path} is not there; give its files, or leave {name} out")
    classes = classes_of(root, source.classes, source.table, bad)
    if source.target is not None:
        known = torchgeo_files.indexed(name, source, paths, bad)
        images = _of_class(name, source, known, bad, latest)
        found = LayerFiles(name, source, images, classes, known.band, known.computed)
    else:
        number = source.band if isinstance(source.band, int) else None
        found = LayerFiles(name, source, _of_folder(name, source, paths, bad, latest), classes, number)
    if source.kind == "classes":
        check_same_tables((path for image in found.images for path in image.paths), bad)
    return found


def _of_folder(
    name: str, source: LayerSource, paths: Sequence[Path], bad: BadFiles, latest: dt.datetime | None
) -> tuple[DatedImage, ...]:
    files = [file for path in paths for file in raster_files(path, bad)]
    if source.kind != "dated":
        return (DatedImage(tuple(files), dt.date.min),)
    images = index_images(files, source.pattern, f"layers.{name}.pattern", bad, latest)
    if not images:
        raise DataError(f"no raster of layer {name} can be read; replace them, or leave the layer out")
    return tuple(images)


def _of_class(
    name: str, source: LayerSource, known: torchgeo_files.Indexed, bad: BadFiles, latest: dt.datetime | None
) -> tuple[DatedImage, ...]:
    years = source.arguments.get("years") or ()
    files = [item for item in known.files if not years or item[1] is None or item[1].year in years]
    if not files:
        raise DataError(f"layer {name} has no file of {', '.join(map(str, years))}; give other years, or its files")
    spans = sorted({(first, last) for _, first, last in files if first is not None and last is not None})
    if source.kind != "dated":
        if len(spans) > 1:
            raise DataError(
                f"layer {name} is of no date, and its files are of {len(spans)} ({spans[0][0]} to {spans[-1][1]}); "
                "choose one by the class's argument years, or by paths"
            )
        return (DatedImage(tuple(path for path, *_ in files), dt.date.min),)
    days: dict[dt.date, list[Path]] = {}
    end = (latest or dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).date()
    for path, _, last in files:
        with bad.handled(path):
            days.setdefault(_known_day(path, last, end), []).append(path)  # a composite is known at its end
    return tuple(DatedImage(tuple(sorted(days[day])), day) for day in sorted(days))


def _known_day(path: Path, last: dt.date | None, end: dt.date) -> dt.date:
    if last is None:
        raise DataError(f"{path} has no date by its layer's class; set kind=continuous, or give a class that knows it")
    if last > end:
        raise DataError(f"{path}: its name gives the date {last}, which is still to come; rename it")
    return last


def layer_reading(
    grid: Grid, bad: BadFiles, lend: Lend = from_disk, *, layer: LayerFiles, image: DatedImage
) -> Reading:
    """A layer's image, float32, NaN where missing: scaled values, or class numbers.

    Continuous values are resampled bilinearly, or averaged where they are finer than the grid; classes are the nearest.

    Args:
        grid: The grid.
        bad: Whether a bad file stops the run or is left out.
        lend: Gives a file's content.
        layer: The layer.
        image: One of its images.
    """
    is_classes = layer.source.kind == "classes"
    how = Resampling.nearest if is_classes else Resampling.bilinear
    reader = _class_reader(layer, bad) if is_classes else _value_reader(layer)
    if layer.computed is not None:
        return ComputedReading(grid, bad, lend, layer, image, reader)
    return Mosaic(image.paths, grid, how, bad, reader, disagree if is_classes else None, is_classes, lend)


def _band(path: Path, source: Any, layer: LayerFiles, kind: Kind) -> Band:
    """The band of an open file: by number, by description, or the only one."""
    wanted = layer.source.band
    if layer.band is not None:
        return find_band(path, source, kind, layer.band)
    if isinstance(wanted, str) and wanted in source.descriptions:
        return find_band(path, source, kind, source.descriptions.index(wanted) + 1)
    return find_band(path, source, kind)


def _value_reader(layer: LayerFiles) -> Layer:
    kind = Kind(f"layer {layer.name}", r"(?!)")
    return Layer(partial(_band, layer=layer, kind=kind), partial(_values, layer=layer))


def _class_reader(layer: LayerFiles, bad: BadFiles) -> Layer:
    kind = Kind(f"{layer.name} classes", r"(?!)", classes=True)
    reader = class_layer(kind, bad, layer.classes, layer.source.missing)
    return Layer(partial(_band, layer=layer, kind=kind), reader.values, reader.look)


def _values(path: Path, stored: Array, band: Band, layer: LayerFiles) -> Array:
    source = layer.source
    scaled = without(stored, source.missing) * np.float32(source.scale) + np.float32(source.offset)
    low = -np.inf if source.low is None else source.low
    high = np.inf if source.high is None else source.high
    key = f"datamodule.layers.{layer.name}"
    cure = f"set {key}.missing to the values that stand for missing, or {key}.scale, or the limits"
    checked = Limits(f"layer {layer.name}", low, high, cure).checked(path, scaled)
    if np.isinf(checked).any():
        raise DataError(f"{path} holds infinite values; {cure}")
    return checked


class ComputedReading(Reading):
    """What a dataset of the user's own makes of its files; NaN where none of them has a value. See `Mosaic`."""

    def __init__(
        self, grid: Grid, bad: BadFiles, lend: Lend, layer: LayerFiles, image: DatedImage, reader: Layer
    ) -> None:
        """Open nothing yet.

        Args:
            grid: The grid.
            bad: Whether a bad file stops the run or is left out.
            lend: Gives a file's content.
            layer: The layer, with its dataset.
            image: One of its images.
            reader: What checks and converts values.
        """
        self._grid, self._layer, self._image, self._reader = grid, layer, image, reader
        self._there = Mosaic(
            image.paths, grid, Resampling.nearest, bad, Layer(lambda path, source: Band(1, "")), lend=lend
        )
        self._begin()

    def _begin(self) -> None:
        self._look = self._reader.look(self._image.paths[0], Band(1, "float32"))

    def close(self) -> None:
        """Close the files."""
        self._there.close()

    def window(self, window: Window) -> Array:
        """Values of a window, float32 [height, width].

        Raises:
            DataError: The dataset gives something else.
        """
        stored = self._sampled(window)
        there = self._there.window(window)
        stored = np.where(np.isfinite(there), stored, np.float32(np.nan))
        values = self._reader.values(self._image.paths[0], stored, Band(1, "float32"))
        self._look.add(stored, values, window)
        return values

    def judged(self) -> bool:
        """Whether what was read stands.

        Raises:
            DataError: All of it together is something else.
        """
        stands = self._there.judged()
        if stands:
            self._look.judge()
        self._begin()
        return stands

    def _sampled(self, window: Window) -> Array:
        import pandas as pd
        from pyproj import CRS

        layer, grid, day = self._layer, self._grid, self._image.day
        dataset: Any = layer.computed
        with contextlib.redirect_stdout(io.StringIO()):  # torchgeo prints what it converts
            dataset.crs, dataset.res = CRS.from_user_input(grid.crs), grid.pixel
        west, south, east, north = grid.crop(window).bounds
        span = slice(None) if day == dt.date.min else slice(pd.Timestamp(day), pd.Timestamp(day))
        try:
            sample = dataset[west : east : grid.pixel, south : north : grid.pixel, span]
        except IndexError:
            return np.full(window.shape, np.nan, np.float32)
        values = np.asarray(sample["image"] if "image" in sample else sample["mask"], np.float32)
        values = values if values.ndim == 3 else values[None]
        number = layer.band or 1
        if values.shape[1:] != window.shape or values.shape[0] < number or (layer.band is None and values.shape[0] > 1):
            raise DataError(
                f"layer {layer.name}: {type(dataset).__name__} gives samples of shape {values.shape} where "
                f"{window.shape} are wanted; set band to the number of its channel"
            )
        return np.asarray(values[number - 1], np.float32)
