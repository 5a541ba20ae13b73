"""One task of a preparation: a pass is read once, and written into shards and planes that are its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio

from mlssm import cube
from mlssm.cube_writer import shard_windows
from mlssm.files import naming
from mlssm.grid import Grid, Window
from mlssm.prepare.levels import Quartiles, quartiles
from mlssm.prepare.task import CACHE, Task
from mlssm.provenance import State
from mlssm.shards import ShardWriter, in_batches
from mlssm.sources.checks.backscatter import PAIRS, Differences
from mlssm.sources.checks.backscatter_values import EVERY, LARGE
from mlssm.sources.checks.decibels import Decibels
from mlssm.sources.contents import Contents
from mlssm.sources.faults import BadFiles
from mlssm.sources.pass_reader import PassReader, read_judged
from mlssm.sources.passes import Pass

Layers = Sequence[cube.Packed | None]  # of a window, in the order of the polarisations
# of the pixels whose levels are noted
STEP = 4


class Beside(Protocol):
    """What else is made of each pass while its pixels are at hand, e.g. a multilook; pickled to where tasks run."""

    def start(self, build: Path, places: Places) -> None:
        """Make what all passes share, in the folder of a build."""

    def begin(self, build: Path, places: Places, number: int) -> OfPass:
        """Begin with a pass."""

    def finish(self, build: Path, places: Places, notes: Sequence[Any]) -> None:
        """Complete it, or remove it where it is to be made of the cube, later."""

    def place(self, build: Path, cube: Path) -> None:
        """Move it beside the cube."""


class OfPass(Protocol):
    """What is made of one pass."""

    def add(self, extent: int, window: Window, layers: Layers) -> None:
        """Take a window of an extent; windows come row by row of shards, and some do not come."""

    def close(self) -> Any:
        """What is to be noted of it once it is written, as JSON holds it."""


@dataclass(frozen=True)
class Places:
    """Where pixels of all passes lie.

    Attributes:
        grid: The grid.
        extents: The parts of it that images cover.
        polarisations: In the order of the array.
        passes: How many.
    """

    grid: Grid
    extents: tuple[Window, ...]
    polarisations: tuple[str, ...]
    passes: int


@dataclass(frozen=True)
class PassTask(Task):
    """What the tasks of all passes share.

    Attributes:
        places: Where pixels lie.
        beside: What else is made of each pass.
    """

    places: Places
    beside: Beside | None


@dataclass(frozen=True)
class PassItem:
    """One pass of them.

    Attributes:
        number: Its place among the passes.
        overpass: The pass.
        states: Of its files.
    """

    number: int
    overpass: Pass
    states: dict[Path, State]

    @property
    def name(self) -> str:
        """Of its marker."""
        return f"{self.number:05d}"


def prepare_pass(task: PassTask, item: PassItem) -> None:
    """Write one pass, and its marker.

    Raises:
        DataError: A file is bad, and the policy is "error".
        ChangedError: A file changed while it was read.
        OSError: The disk is full.
    """
    bad, contents = BadFiles(task.policy, tells=False), Contents(item.states)
    writing = PassWriting(task, item, bad)
    # a folder of thousands of images is not to be listed anew for each
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE", GDAL_CACHEMAX=CACHE), in_batches(), naming(writing.folder):
        notes = read_judged(item.overpass, task.places.grid, bad, writing.write, contents.lent)
        while writing.contradicts():
            notes = read_judged(item.overpass, task.places.grid, bad, writing.write, contents.lent)
        contents.check()
    task.build.mark(item.name, notes | {"bad": bad.notes(), "states": contents.notes()})


class PassWriting:
    """Writes a pass; anew where its images turn out to be other than they seemed.

    Attributes:
        folder: Of its shards.
    """

    def __init__(self, task: PassTask, item: PassItem, bad: BadFiles) -> None:
        """Write nothing yet."""
        self._task, self._item, self._bad = task, item, bad
        self._without = set[int]()  # extents whose polarisations contradict each other
        self._seen: list[ExtentSeen] = []
        self.folder = task.group / "backscatter" / "c" / str(item.number)

    def write(self, reader: PassReader) -> dict[str, Any]:
        """Write the shards, and what is made beside them; what is to be noted of the pass."""
        places, build = self._task.places, self._task.build.folder
        maker = self._task.beside
        beside = None if maker is None else maker.begin(build, places, self._item.number)
        self._seen = [ExtentSeen(extent, places.polarisations) for extent in places.extents]
        with ShardWriter(self._task.group / "backscatter") as writer:
            writer.remove(self._item.number)
            for tile in shard_windows(places.grid):
                reader.release(tile.row)
                for band, values in enumerate(self._tile(reader, tile, beside)):
                    if values is not None:
                        writer.write((self._item.number, band, *tile.slices), values)
            written = writer.close()
        prefix = f"c/{self._item.number}/"
        files = {name.removeprefix(prefix): found for name, found in written.items() if name.startswith(prefix)}
        levels = [seen.levels() for seen in self._seen]
        measured = any(seen.measured for seen in self._seen)
        return {
            "levels": levels,
            "files": files,
            "measured": measured,
            "beside": None if beside is None else beside.close(),
        }

    def contradicts(self) -> bool:
        """Whether polarisations of an extent contradict each other, so that the pass is to be written without it.

        Raises:
            DataError: They do, and the policy is "error".
        """
        before = len(self._without)
        for number, seen in enumerate(self._seen):
            path = self._item.overpass.images[0].path
            with self._bad.handled(path, partial(self._without.add, number)):
                for differences in seen.differences.values():
                    differences.check(path)
        return len(self._without) > before

    def _tile(self, reader: PassReader, tile: Window, beside: OfPass | None) -> Layers:
        """A shard in each polarisation; None where nothing was measured."""
        places = self._task.places
        found: list[cube.Packed | None] = [None for _ in places.polarisations]
        for number, extent in enumerate(places.extents):
            window = tile.intersection(extent)
            if 0 in window.shape or number in self._without:
                continue
            powers = (reader.power(polarisation, window) for polarisation in places.polarisations)
            layers = [None if power is None else cube.pack_power(power) for power in powers]
            self._seen[number].add(window, layers)
            if beside is not None:
                beside.add(number, window, layers)
            found = [_placed(*both, window, tile) for both in zip(found, layers, strict=True)]
        return found


class ExtentSeen:
    """What was seen of a pass on one extent, window by window.

    Attributes:
        measured: Whether it has a value anywhere.
        differences: Between co- and cross-polarised images, by their names.
    """

    def __init__(self, extent: Window, polarisations: Sequence[str]) -> None:
        """Begin with no pixel."""
        self._extent, self._names = extent, polarisations
        self.measured = False
        self.differences = {pair: Differences(*pair) for pair in PAIRS if set(pair) <= set(polarisations)}
        self._levels = [Decibels() for _ in polarisations]

    def add(self, window: Window, layers: Layers) -> None:
        """Look at a window."""
        taken = (
            slice((self._extent.row - window.row) % STEP, None, STEP),
            slice((self._extent.col - window.col) % STEP, None, STEP),
        )
        for levels, layer in zip(self._levels, layers, strict=True):
            if layer is not None and (self.measured or (layer != cube.FILL).any()):
                self.measured = True
                levels.add(layer[taken])
        every = EVERY if window.height * window.width > LARGE else 1
        for (co, cross), differences in self.differences.items():
            first, second = (layers[self._names.index(name)] for name in (co, cross))
            if first is not None and second is not None:
                differences.add(first[::every], second[::every])

    def levels(self) -> list[Quartiles | None]:
        """The quartiles in each polarisation; None where it has no value."""
        return [quartiles(levels) if levels.total else None for levels in self._levels]


def _placed(whole: cube.Packed | None, layer: cube.Packed | None, window: Window, tile: Window) -> cube.Packed | None:
    """A tile with a window's layer in it."""
    if layer is None or window == tile:
        return whole if layer is None else layer
    whole = np.full(tile.shape, cube.FILL) if whole is None else whole
    whole[window.within(tile).slices] = layer
    return whole
