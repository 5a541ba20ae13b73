"""What the land is like: terrain, soil, vegetation and further layers, onto the grid, in tasks."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlssm import cube
from mlssm.config import DatamoduleConfig
from mlssm.cube_writer import CubeWriter
from mlssm.errors import ChangedError, DataError
from mlssm.prepare.land_task import LandItem, LandTask, files_of, is_done, prepare_land, states_of
from mlssm.prepare.ranks import Ranks
from mlssm.provenance import FileDigests
from mlssm.sources.backscatter import BackscatterIndex
from mlssm.sources.checks.soil import check_class_count
from mlssm.sources.checks.terrain import elevation_files
from mlssm.sources.classes import check_same_tables, classes_of
from mlssm.sources.faults import BadFiles
from mlssm.sources.folder import raster_files
from mlssm.sources.images import DatedImage
from mlssm.sources.layers import LayerFiles, layer_reading
from mlssm.sources.ndvi import NdviImage, NdviReading
from mlssm.sources.static import incidence_reading, soil_reading
from mlssm.sources.terrain import WETNESS, TerrainReading, terrain_names
from mlssm.variables import of_kind, unit_of
from mlssm.workers import Workers

log = logging.getLogger(__name__)

# a source that reaches fewer of the images' pixels is said to have gaps, and of even fewer warned
WHOLE, MOSTLY = 0.99, 0.9
Notes = Sequence[Mapping[str, Any]]


def gap_days(config: DatamoduleConfig) -> dict[str, int]:
    """How much older than its image a value may be that fills a gap, days, of each dated source."""
    found = {name: source.max_gap_days for name, source in config.layers.items() if source.kind == "dated"}
    return found if config.ndvi is None else {"ndvi": config.ndvi.max_gap_days, **found}


@dataclass(frozen=True)
class Source:
    """A source of the land.

    Attributes:
        key: What it is called in the configuration.
        items: What is read of it: one of no date, or one a day.
        days: Of the items of a dated one.
        classes: Of one whose classes have names, the name of each number.
    """

    key: str
    items: tuple[LandItem, ...]
    days: tuple[dt.date, ...] = ()
    classes: Mapping[int, str] | None = None

    @property
    def paths(self) -> list[Path]:
        """Its files."""
        return [path for item in self.items for path in item.paths]

    @property
    def place(self) -> Path:
        """Its file, or the folder of its files."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent


@dataclass(frozen=True)
class Land:
    """What is to be written of the land.

    Attributes:
        features: Names of the static array's layers.
        static: Sources of no date, in the order of their layers.
        dated: Dated ones, by their names.
        orbits: Incidence angles.
    """

    features: tuple[str, ...]
    static: tuple[Source, ...]
    dated: Mapping[str, Source]
    orbits: Source

    @property
    def classes(self) -> dict[str, dict[int, str]]:
        """Of features whose classes have names, the name of each number."""
        named = {self.features[source.items[0].places[0]]: source.classes for source in self.static}
        return {name: dict(classes) for name, classes in named.items() if classes}

    @property
    def items(self) -> list[LandItem]:
        """All that is to be read."""
        return [item for source in (*self.static, *self.dated.values(), self.orbits) for item in source.items]

    def plan(self) -> list[str]:
        """What tells it from another, whatever its files hold."""
        return [item.plan() for item in self.items]


def plan_land(
    config: DatamoduleConfig,
    index: BackscatterIndex,
    ndvi: Sequence[NdviImage],
    layers: Sequence[LayerFiles],
    bad: BadFiles,
) -> Land:
    """What the configuration's sources come to.

    Raises:
        ConfigError: There is no such derivative of elevation.
        DataError: A folder is missing, or a table contradicts itself.
    """
    features: list[str] = []
    static: list[Source] = []
    if config.dem is not None:
        names = terrain_names(config.terrain)
        static.append(_terrain(config, names, bad))
        features += names
    if config.soil is not None:
        static.append(_soil(config, len(features), bad))
        features.append("soil")
    for layer in (layer for layer in layers if layer.source.kind != "dated"):
        item = _layer_item(layer, layer.images[0], "static", len(features), f"land-{layer.name}")
        static.append(Source(f"layers.{layer.name}", (item,), classes=layer.classes.names))
        features.append(layer.name)
    dated = {"ndvi": _ndvi(ndvi)} if ndvi else {}
    dated |= {layer.name: _dated(layer) for layer in layers if layer.source.kind == "dated"}
    return Land(tuple(features), tuple(static), dated, _orbits(index))


def _terrain(config: DatamoduleConfig, names: Sequence[str], bad: BadFiles) -> Source:
    assert config.dem is not None
    files = elevation_files(raster_files(config.root / config.dem.folder, bad), bad)
    make = partial(TerrainReading, paths=files, derived=config.terrain)
    places = tuple(range(len(names)))
    # how much land drains to a pixel no block tells
    item = LandItem("land-dem", "static", places, make, tuple(files), states_of(files), whole=WETNESS in names)
    return Source("dem", (item,))


def _soil(config: DatamoduleConfig, place: int, bad: BadFiles) -> Source:
    assert config.soil is not None
    classes = classes_of(config.root, config.soil.classes, config.soil.table, bad)
    files = raster_files(config.root / config.soil.folder, bad)
    check_same_tables(files, bad)
    make = partial(soil_reading, paths=files, classes=classes)
    item = LandItem("land-soil", "static", (place,), make, tuple(files), states_of(files), is_classes=True)
    return Source("soil", (item,), classes=classes.names)


def _layer_item(layer: LayerFiles, image: DatedImage, array: str, place: int, name: str) -> LandItem:
    make, is_classes = partial(layer_reading, layer=layer, image=image), layer.source.kind == "classes"
    # a dataset of the user's own may be no thing that is sent elsewhere
    here = layer.computed is not None
    states = states_of(image.paths)
    return LandItem(name, array, (place,), make, image.paths, states, is_classes=is_classes, here=here)


def _dated(layer: LayerFiles) -> Source:
    array = cube.dated_array(layer.name)
    items = [
        _layer_item(layer, image, array, number, f"{array}-{number:05d}") for number, image in enumerate(layer.images)
    ]
    return Source(f"layers.{layer.name}", tuple(items), tuple(image.day for image in layer.images))


def _ndvi(images: Sequence[NdviImage]) -> Source:
    items = []
    for number, image in enumerate(images):
        masks = [image.masks[path].path for path in image.paths if path in image.masks]
        states, make = states_of([*image.paths, *masks]), partial(NdviReading, image=image)
        items.append(LandItem(f"ndvi-{number:05d}", "ndvi", (number,), make, image.paths, states, cube.NDVI_SCALE))
    return Source("ndvi", tuple(items), tuple(image.day for image in images))


def _orbits(index: BackscatterIndex) -> Source:
    items = []
    for position, orbit in enumerate(sorted(index.incidence)):
        paths = index.incidence[orbit]
        make, states = partial(incidence_reading, paths=paths, stored=index.angle), states_of(paths)
        items.append(LandItem(f"incidence-{position}", "incidence", (position,), make, paths, states, cube.ANGLE_SCALE))
    return Source("incidence", tuple(items))


def create_land(writer: CubeWriter, land: Land) -> None:
    """Create the arrays that tasks write into."""
    units = ", ".join(f"{item.name} {item.unit}" for item in of_kind("fixed", "classes") if item.name in land.features)
    writer.raster("static", ("feature",), (len(land.features),), None, units)
    for name, source in land.dated.items():
        key, scale = cube.dated_array(name), cube.NDVI_SCALE if name == "ndvi" else None
        writer.raster(key, (f"{key}_time",), (len(source.items),), scale, unit_of(name))
    if land.orbits.items:
        writer.raster("incidence", ("incidence_orbit",), (len(land.orbits.items),), cube.ANGLE_SCALE, "degrees")


def write_land(
    task: LandTask, land: Land, writer: CubeWriter, workers: Workers, digests: FileDigests, bad: BadFiles
) -> dict[str, str]:
    """Write the land, what of it is not yet, and leave out days without a value; the checksums of its files.

    Args:
        task: Where to.
        land: What.
        writer: Of the cube.
        workers: Who does it.
        digests: Learns those of the files.
        bad: Takes note of what tasks noted.

    Raises:
        DataError: A source is bad, or has no value on the images; or see `prepare_land`.
        ChangedError: Files changed since days were left out.
    """
    _run(task, land, workers)
    checksums: dict[str, str] = {}
    for source in land.static:
        notes = _noted(task, source, digests, bad)
        check_reached(source, notes, bad)
        if source.items[0].is_classes:
            check_class_count(source.place, notes[0]["codes"])
        checksums |= _checksums(source.items, notes)
    checksums |= _checksums(land.orbits.items, _noted(task, land.orbits, digests, bad))
    for name, source in land.dated.items():
        notes = _noted(task, source, digests, bad)
        # a day without a value would hide the one before it
        kept = [number for number, note in enumerate(notes) if note["known"]]
        if not kept:
            check_reached(source, notes, bad)
        key = cube.dated_array(name)
        Ranks(task.build, task.group / key).close(kept, len(notes))
        writer.days(f"{key}_time", (source.days[number] for number in kept), f"{key}_time")
        checksums |= _checksums([source.items[number] for number in kept], [notes[number] for number in kept], True)
    return checksums


def _run(task: LandTask, land: Land, workers: Workers) -> None:
    left = [item for item in land.items if not _is_done(task, item)]
    for here, own in ((False, workers), (True, Workers(threads=1))):
        items = [item for item in left if item.here == here]
        own.run(partial(prepare_land, task), items, "land onto the grid")


def _is_done(task: LandTask, item: LandItem) -> bool:
    moved = Ranks(task.build, task.group / item.array).moved
    done = is_done(task, item, moved)
    if moved and not done:
        task.build.discard()  # days stand at other places by now
        raise ChangedError(f"files of {item.array} changed while the cube was completed; start the same command again")
    return done


def _noted(task: LandTask, source: Source, digests: FileDigests, bad: BadFiles) -> list[Mapping[str, Any]]:
    """What was noted of a source's items; those who want to know are told."""
    notes: list[Mapping[str, Any]] = []
    for item in source.items:
        note = task.build.marked(item.name)
        if note is None:
            raise DataError(f"the marker of {item.name} in {task.build.folder} is gone; start again")
        bad.take(note["bad"])
        digests.learn_all(note["states"])
        notes.append(note)
    return notes


def _checksums(items: Sequence[LandItem], notes: Notes, moved: bool = False) -> dict[str, str]:
    """Of the files; `moved`: where they are once those that are kept were moved up."""
    found = {}
    for position, (item, note) in enumerate(zip(items, notes, strict=True)):
        for place in item.places:
            for name, (_, checksum) in files_of(note, place).items():
                found[f"{item.array}/c/{position if moved else place}/{name}"] = checksum
    return found


def check_reached(source: Source, notes: Notes, bad: BadFiles) -> None:
    """Refuse a source without a single value on the images.

    Raises:
        DataError: None of its files can be read, or none overlaps the images.
    """
    key, place = source.key, source.place
    known, total = (sum(note[name] for note in notes) for name in ("known", "total"))
    if known:
        share = known / total
        if share < WHOLE:
            level = logging.INFO if share > MOSTLY else logging.WARNING  # water has no soil
            log.log(level, "%s reaches %.0f %% of the images' pixels; elsewhere %s is missing", place, 100 * share, key)
        return
    if all(path.name in bad.skipped for path in source.paths):
        raise DataError(f"nothing in {place} can be read; replace it, or set datamodule.{key}=null to leave it out")
    raise DataError(f"{place} does not overlap the images; give {key} of the same place, or set datamodule.{key}=null")
