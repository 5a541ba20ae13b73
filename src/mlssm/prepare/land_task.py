"""One task of a preparation: a source of the land is read once, and written into shards that are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from mlssm import cube
from mlssm.builds import are_whole
from mlssm.cube_writer import shard_windows
from mlssm.files import naming
from mlssm.grid import Grid, Window
from mlssm.prepare.task import CACHE, Task
from mlssm.provenance import State, state_of
from mlssm.shards import ShardWriter, in_batches
from mlssm.sources.contents import Contents
from mlssm.sources.faults import Array, BadFiles
from mlssm.sources.mosaic import Reading
from mlssm.sources.raster import Lend

# more classes than any source may have; they are refused by name once all were seen
MOST_CODES = 1000


@dataclass(frozen=True)
class LandTask(Task):
    """What the tasks of all sources share.

    Attributes:
        grid: The grid.
        extents: The parts of it that images cover.
    """

    grid: Grid
    extents: tuple[Window, ...]


@dataclass(frozen=True)
class LandItem:
    """One source, or the image of one day.

    Attributes:
        name: Of its marker.
        array: That it is written into.
        places: Of its layers, in the array's first dimension.
        make: Begins to read it.
        paths: Its files.
        states: Of all that it reads, masks too.
        scale: Step of the int16 that values are packed to; None: float32.
        is_classes: Whether values are classes.
        whole: Whether a window must be a whole extent.
        here: Whether it can be read in the first process alone.
    """

    name: str
    array: str
    places: tuple[int, ...]
    make: Callable[[Grid, BadFiles, Lend], Reading]
    paths: tuple[Path, ...]
    states: Mapping[Path, State]
    scale: float | None = None
    is_classes: bool = False
    whole: bool = False
    here: bool = False

    def plan(self) -> str:
        """What tells it from another, whatever its files hold."""
        return f"{self.name} {self.places} {self.whole} {[str(path) for path in self.states]}"


def states_of(paths: Sequence[Path]) -> dict[Path, State]:
    """The states of the files that are there; of one that is not, who reads it says so."""
    return {path: state_of(path) for path in dict.fromkeys(paths) if path.is_file()}


def is_done(task: LandTask, item: LandItem, moved: bool) -> bool:
    """Whether it was written from the files as they are now, and is there; `moved`: maybe at another place."""
    note = task.build.marked(item.name)
    if note is None or note["inputs"] != _listed(item.states):
        return False
    chunks = task.group / item.array / "c"
    return moved or all(are_whole(chunks / str(place), files_of(note, place)) for place in item.places)


def files_of(note: Mapping[str, Any], place: int) -> dict[str, tuple[int, str]]:
    """Size and checksum of the files of a layer, by their path below its folder."""
    prefix = f"c/{place}/"
    return {name.removeprefix(prefix): found for name, found in note["files"].items() if name.startswith(prefix)}


def _listed(states: Mapping[Path, State]) -> dict[str, list[int]]:
    return {str(path): list(state) for path, state in states.items()}


def prepare_land(task: LandTask, item: LandItem) -> None:
    """Write one source, and its marker.

    Raises:
        DataError: A file is bad, and the policy is "error".
        ChangedError: A file changed while it was read.
        OSError: The disk is full.
    """
    # bit by bit, as a file of a mosaic is left and come back to, row by row of shards
    bad, contents = BadFiles(task.policy, tells=False), Contents(item.states, largest=0)
    alone = rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE", GDAL_CACHEMAX=CACHE)
    with alone, in_batches(), naming(task.group / item.array):
        with item.make(task.grid, bad, contents.lent) as reading:
            notes = _write(task, item, reading)
            while not reading.judged():
                notes = _write(task, item, reading)
        contents.check()
    task.build.mark(item.name, notes | {"bad": bad.notes(), "inputs": _listed(item.states), "states": contents.notes()})


def _write(task: LandTask, item: LandItem, reading: Reading) -> dict[str, Any]:
    """Write the shards; what is to be noted of them."""
    seen = LandSeen(item.is_classes)
    with ShardWriter(task.group / item.array) as writer:
        for place in item.places:
            writer.remove(place)
        for tile, layers in _tiles(task, item, reading, seen):
            for place, layer in zip(item.places, layers, strict=True):
                writer.write((place, *tile.slices), layer if item.scale is None else cube.pack(layer, item.scale))
        written = writer.close()
    return {"files": written, "known": seen.known, "total": seen.total, "codes": seen.codes}


def _tiles(task: LandTask, item: LandItem, reading: Reading, seen: LandSeen) -> Iterator[tuple[Window, Array]]:
    """Each shard, or where it must be each extent, that has a value, with its layers."""
    for tile in task.extents if item.whole else shard_windows(task.grid):
        found: Array | None = None
        for extent in task.extents:
            window = tile.intersection(extent)
            if 0 in window.shape:
                continue
            layers = reading.window(window).reshape(-1, *window.shape)
            if seen.add(layers[0]):
                if found is None:
                    found = np.full((len(layers), *tile.shape), np.nan, np.float32)
                found[(slice(None), *window.within(tile).slices)] = layers
        if found is not None:
            yield tile, found


class LandSeen:
    """What was seen of a source, window by window.

    Attributes:
        known: Pixels that have a value in its first layer.
        total: Pixels of the extents.
        codes: The classes, where it is of classes.
    """

    def __init__(self, is_classes: bool) -> None:
        """Begin with no pixel."""
        self._is_classes = is_classes
        self.known = self.total = 0
        self.codes: list[float] = []

    def add(self, layer: Array) -> bool:
        """Look at a window; whether it has a value."""
        is_known = np.isfinite(layer)
        known = int(is_known.sum())
        self.known, self.total = self.known + known, self.total + layer.size
        if self._is_classes:
            codes = np.union1d(self.codes, layer[is_known])
            self.codes = [float(code) for code in codes[:MOST_CODES]]
        return known > 0
