"""How the multilooked stack is made: while an area is prepared, or later of its cube; by the same code."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlssm.builds import Build, one_build
from mlssm.config import DaskConfig, ImagesConfig
from mlssm.cube import BACKSCATTER_SCALE, FILL, Cube, Packed, pack, unpack
from mlssm.cube_writer import shard_windows
from mlssm.files import placed
from mlssm.grid import Window
from mlssm.prepare.passes import Layers, Places
from mlssm.retrieval.block_sums import BlockSums
from mlssm.retrieval.multilook import multilook_db
from mlssm.retrieval.planes import Plane, create, is_whole, write_manifest
from mlssm.retrieval.working_grid import WorkingGrid, working_of
from mlssm.workers import open_workers

log = logging.getLogger(__name__)

VERSION = 3  # of the code that multilooks; to be raised where its numbers change
# rows that are worked on at once with a moving window
ROWS = 256
STACKS = "multilook"  # the folder in a build
MEASURED = "measured.npy"


def stack_name(config: ImagesConfig, working: WorkingGrid) -> str:
    """Of the folder that holds one polarisation's multilook."""
    kind = f"{working.window_pixels}px-{config.multilook}-{config.min_valid_fraction:g}"
    return f"{config.polarisation}-{kind}-v{VERSION}"


def backscatter_file(number: int) -> str:
    """Of an extent's backscatter."""
    return f"extent{number}-backscatter.npy"


def count_file(number: int) -> str:
    """Of how many pixels each of its values averages."""
    return f"extent{number}-count.npy"


def create_stack(folder: Path, working: WorkingGrid, times: int) -> None:
    """Make the files of one polarisation's multilook, without a date."""
    folder.mkdir(parents=True)
    for number, extent in enumerate(working.extents):
        create(folder / backscatter_file(number), np.int16, (times, *extent.shape))
        create(folder / count_file(number), np.uint16, (times, *extent.shape))


class DateOfStack:
    """One date of one polarisation's multilook, which is written as its pixels come."""

    def __init__(self, folder: Path, time: int, number: int, sums: BlockSums) -> None:
        """Begin with an extent."""
        self._sums = sums
        self._packed = Plane(folder / backscatter_file(number), time, int(FILL))
        self._count = Plane(folder / count_file(number), time, 0)
        self._measured = False

    def add(self, window: Window, packed: Packed) -> None:
        """Take a window of pixels; windows come row by row of shards."""
        self._write(window.row)
        self._sums.add(window, packed)

    def close(self) -> tuple[str, str, bool]:
        """Checksums of what was written, and whether it has a value."""
        self._write(None)
        return self._packed.close(), self._count.close(), self._measured

    def _write(self, row: int | None) -> None:
        self.rows(*self._sums.take(row))

    def rows(self, start: int, packed: Packed, count: Any) -> None:
        """Write rows of the working grid from `start` on."""
        if len(packed):
            self._measured |= bool((packed != FILL).any())
            self._packed.write(start, packed)
            self._count.write(start, count)


def finish_stack(folder: Path, dates: Sequence[Sequence[Sequence[Any]]]) -> None:
    """Write what tells that a stack is whole.

    Args:
        folder: Of one polarisation.
        dates: Of each date and extent, what `DateOfStack.close` gave.
    """
    np.save(folder / MEASURED, np.array([any(measured for *_, measured in each) for each in dates], bool))
    checksums = {}
    for number, extent in enumerate(zip(*dates, strict=True)):
        checksums[backscatter_file(number)] = [first for first, *_ in extent]
        checksums[count_file(number)] = [second for _, second, _ in extent]
    write_manifest(folder, checksums)


@dataclass(frozen=True)
class MultilookBeside:
    """The multilook of blocks, made while passes are prepared. See `mlssm.prepare.passes.Beside`.

    Attributes:
        config: How images become backscatter on the working grid.
    """

    config: ImagesConfig

    def start(self, build: Path, places: Places) -> None:
        """Make the files, unless they are there from before.

        Raises:
            ConfigError: The multilook window is not a whole number of pixels.
            DataError: It is wider than an extent.
        """
        for folder, config in self._folders(build, places).items():
            if not folder.is_dir():
                partial_folder = folder.with_name(f"{folder.name}.partial")
                shutil.rmtree(partial_folder, ignore_errors=True)
                create_stack(partial_folder, working_of(places.grid, places.extents, config), places.passes)
                partial_folder.rename(folder)

    def begin(self, build: Path, places: Places, number: int) -> PassOfStack:
        """Begin with a pass."""
        return PassOfStack(self._folders(build, places), places, number)

    def finish(self, build: Path, places: Places, notes: Sequence[Any]) -> None:
        """Complete it; it is removed, and made of the cube later, where passes were left out or lack it."""
        for folder in self._folders(build, places):
            dates = [(note["beside"] or {}).get(folder.name) for note in notes]
            whole = [date for date in dates if date is not None]
            if all(note["measured"] for note in notes) and len(whole) == len(notes):
                finish_stack(folder, whole)
            else:
                shutil.rmtree(folder)

    def place(self, build: Path, cube: Path) -> None:
        """Move it beside the cube."""
        beside = cube.with_suffix(".multilook")
        for folder in sorted((build / STACKS).iterdir()):
            beside.mkdir(exist_ok=True)
            if is_whole(folder) and not (beside / folder.name).is_dir():
                placed(folder, beside / folder.name)

    def _folders(self, build: Path, places: Places) -> dict[Path, ImagesConfig]:
        working = working_of(places.grid, places.extents, self.config)
        each = [self.config.of_polarisation(name) for name in self.config.channel if name in places.polarisations]
        return {build / STACKS / stack_name(config, working): config for config in each}


class PassOfStack:
    """The multilook of one pass, in all polarisations and extents."""

    def __init__(self, folders: dict[Path, ImagesConfig], places: Places, number: int) -> None:
        """Begin with a pass."""
        self._dates: dict[str, tuple[int, list[DateOfStack]]] = {}
        for folder, config in folders.items():
            working = working_of(places.grid, places.extents, config)
            band = places.polarisations.index(config.polarisation)
            dates = [
                DateOfStack(folder, number, extent, BlockSums(blocks, working.factor, config.min_valid_fraction))
                for extent, blocks in enumerate(working.extents)
            ]
            self._dates[folder.name] = band, dates

    def add(self, extent: int, window: Window, layers: Layers) -> None:
        """Take a window of an extent."""
        for band, dates in self._dates.values():
            layer = layers[band]
            if layer is not None:
                dates[extent].add(window, layer)

    def close(self) -> dict[str, list[tuple[str, str, bool]]]:
        """What `finish_stack` needs of the pass, by the folder's name."""
        return {name: [date.close() for date in dates] for name, (_, dates) in self._dates.items()}


def make_stack(cube: Cube, config: ImagesConfig, folder: Path, working: WorkingGrid, dask: DaskConfig) -> None:
    """Make one polarisation's multilook of a cube, date by date, or go on with it.

    Args:
        cube: The cube.
        config: With one polarisation.
        folder: Where it is to be.
        working: The working grid.
        dask: Where dates are worked on.
    """
    times = len(cube.times)
    with one_build(folder.parent, folder.name, f"{cube.path.name} in {folder.name}") as build:
        if folder.is_dir():  # another process was faster
            return
        build.begin(lambda partial_folder: create_stack(partial_folder / STACKS, working, times))
        names = [f"{time:05d}" for time in range(times)]
        left = [time for time in range(times) if build.marked(names[time]) is None]
        with open_workers(dask) as workers:
            task = partial(_multilook_date, build, Cube(cube.path, cube.manifest), config)
            workers.run(task, left, f"multilook of {config.polarisation}")
        finish_stack(build.folder / STACKS, [(build.marked(name) or {})["extents"] for name in names])
        build.finish(build.folder / STACKS, folder)


def _multilook_date(build: Build, cube: Cube, config: ImagesConfig, time: int) -> None:
    working = working_of(cube.grid, cube.extents, config)
    found = []
    for number, (extent, blocks) in enumerate(zip(cube.extents, working.extents, strict=True)):
        sums = BlockSums(blocks, working.factor, config.min_valid_fraction)
        date = DateOfStack(build.folder / STACKS, time, number, sums)
        if config.multilook == "block":
            for shard in shard_windows(cube.grid):
                window = shard.intersection(extent)
                if 0 not in window.shape:
                    date.add(window, cube.packed(time, config.polarisation, window))
        else:
            _moving(cube, config, working.window_pixels, extent, time, date)
        found.append(date.close())
    build.mark(f"{time:05d}", {"extents": found})


def _moving(cube: Cube, config: ImagesConfig, pixels: int, extent: Window, time: int, date: DateOfStack) -> None:
    """Average over a moving window, in bands with what the window reaches above and below them."""
    for start in range(0, extent.height, ROWS):
        height = min(ROWS, extent.height - start)
        above, below = min(pixels, start), min(pixels, extent.height - start - height)
        band = Window(extent.row + start - above, extent.col, above + height + below, extent.width)
        values = unpack(cube.packed(time, config.polarisation, band), BACKSCATTER_SCALE)
        mean, count = multilook_db(values, pixels, "moving", config.min_valid_fraction)
        rows = slice(above, above + height)
        date.rows(start, pack(mean[rows], BACKSCATTER_SCALE), count[rows].astype(np.uint16))
